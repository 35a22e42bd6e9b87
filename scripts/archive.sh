# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Debian suites that the machine's own apt configuration may not list: a
# private configuration below build/apt, made from the archive addresses that
# the machine has; and installing packages.  Sourced, after lib.sh.

APT_DIR=$BUILD/apt
# Options of all calls besides
APT_OPTIONS=()

# The suite that has the release line of QEMU which the series is for.
export QEMU_SUITE=trixie QEMU_WANTED='10.0.x, later than 10.0.2'

# archive_candidates SUITE: "URI SOURCES-FILE ENTRY" of each source that serves
# the running suite, Debian's own first; for a security suite, those of its
# security suite.  Apt does not know them before an update: where the machine has
# had none, make one of our own.
archive_candidates() {
    local own=$APT_DIR/own/lists kind=
    [[ $1 != *-security ]] || kind=-security
    if [ -z "$(machine_sources "$kind")" ]; then
        mkdir -p "$own/partial"
        apt-get -q -o Dir::State::lists="$own" -o APT::Sandbox::User=root update >&2 || true
        machine_sources "$kind" -o Dir::State::lists="$own"
    else
        machine_sources "$kind"
    fi
}

# machine_sources KIND OPTION...: those of the running suite or, -security, of
# its security suite
machine_sources() {
    local codename kind=$1
    shift
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-none}")
    # shellcheck disable=SC2016  # apt expands these
    apt-get "$@" indextargets --format \
        '$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(SOURCESENTRY)' \
        'Created-By: Packages' 2>/dev/null |
        awk -F '|' -v suite="$codename" -v kind="$kind" '
            $2 == suite kind || $2 ~ "^(old)*stable" kind "$" || $2 == "testing" kind {
                if ($3 != "main" || seen[$4]++)
                    next
                entry = $5
                sub(/.*:/, "", entry)
                sub(/:[0-9]+$/, "", $5)
                print ($1 == "Debian" ? 0 : 1), $4, $5, entry
            }' | sort -s -n -k 1,1 | cut -d ' ' -f 2-
}

# source_options FILE ENTRY: the options of that source (Signed-By, Trusted,
# ...) as deb822 fields, whichever of the two formats the file is in.
source_options() {
    case $1 in
    *.sources)
        awk -v want="$2" '
            /^#/ { next }
            /^[ \t]*$/ { if (filled) { n++; filled = 0 } next }
            { filled = 1 }
            /^[^ \t]/ { keep = tolower($1) !~ /^(types|uris|suites|components|enabled|architectures|x-.*|description):$/ }
            n + 1 == want && keep' "$1"
        ;;
    *)
        sed -n "$2"'s/^[[:space:]]*deb[^[]*\[\([^]]*\)\].*/\1/p' "$1" | tr ' ' '\n' |
            sed -n -e '/^arch=/d' -e 's/^\([a-z-]*\)=\(.*\)/\1: \2/p' | tr ',' ' '
        ;;
    esac
}

# archive_write_source SUITE URI OPTIONS
archive_write_source() {
    mkdir -p "$APT_DIR/$1/lists/partial" "$APT_DIR/$1/cache/archives/partial"
    {
        printf 'Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$2" "$1"
        if [ -n "$3" ]; then
            printf '%s\n' "$3"
        fi
    } >"$APT_DIR/$1/archive.sources"
}

# archive_apt SUITE TOOL ARG...: apt-get or apt-cache on the private sources
archive_apt() {
    local dir=$APT_DIR/$1 tool=$2
    shift 2
    "$tool" -q -o Dir::Etc::sourcelist="$dir/archive.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" \
        -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::Retries=2 "${APT_OPTIONS[@]}" "$@"
}

# archive_update SUITE: find an address that serves SUITE and read its index.
archive_update() {
    local uri file entry options keys=/usr/share/keyrings/debian-archive-keyring.gpg
    while read -r uri file entry; do
        # The machine's key may be that of its own suite alone.
        for options in "$(source_options "$file" "$entry")" "Signed-By: $keys"; do
            archive_write_source "$1" "$uri" "$options"
            echo "trying suite $1 of $uri"
            if archive_apt "$1" apt-get update --error-on=any; then
                return 0
            fi
        done
    done < <(archive_candidates "$1")
    echo "no configured archive serves suite $1"
    return 1
}

# archive_versions SUITE PACKAGE: the source versions of a package, newest first
archive_versions() {
    archive_apt "$1" apt-cache showsrc "$2" 2>/dev/null |
        awk '/^Package: /{ p = $2 } /^Version: /{ if (p == want) print $2 }' want="$2" | sort -rVu
}

die_no_archive() {
    die "cannot get $1 from the Debian archive: check the network and apt's sources, or set $2 (log: $(relative "$3"))"
}

# ---- installing

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# A password is asked for here, where there is a terminal, and not below.
may_be_root() {
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null ||
        { [ -t 0 ] && command -v sudo >/dev/null && sudo -v; }
}

install_with() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}

# A machine may have no package index yet, or an old one: read it only then.
install_packages() {
    install_with install "$@" && return
    install_with update || true
    install_with install "$@"
}

# ---- versions of QEMU

version_fits() {
    [[ $1 =~ ^10\.0\.([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -gt 2 ] && [ "${BASH_REMATCH[1]}" -lt 50 ]
}

# upstream_version 1:10.0.13+ds-0+deb13u1 -> 10.0.13
upstream_version() {
    local v=${1#*:}
    printf '%s\n' "${v%%[+~-]*}"
}
