# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The series as commits and as mails, and what has to hold for them.  Sourced,
# after lib.sh.

SIDE=$BUILD/series.side

side_git() {
    git -C "$SIDE" "$@"
}

# bring_in FILE...: our files and what MAINTAINERS says of all so far
bring_in() {
    local f
    for f in "$@"; do
        mkdir -p "$SIDE/${f%/*}"
        cp -p "$ROOT/$f" "$SIDE/$f" || return
        printf '%s\n' "$f" >>"$BUILD/series.files"
    done
    side_git show refs/svm/base:MAINTAINERS |
        "$ROOT/scripts/maintainers" "$ROOT/MAINTAINERS" "$BUILD/series.files" >"$SIDE/MAINTAINERS" || return
    side_git add -f --sparse MAINTAINERS "$@" || return
    GIT_COMMITTER_DATE=$(side_git show -s --format=%aD) side_git commit -q --amend --no-edit
}

make_commits() {
    local patch
    local -a files patches
    mapfile -t patches < <(queue_patches)
    : >"$BUILD/series.files"
    side_open "$SIDE" "${patches[@]}" || return
    for patch in "${patches[@]}"; do
        echo "applying $patch"
        patch_mail "$patch" | side_git am -q --empty=keep --committer-date-is-author-date || return
        mapfile -t files < <(patch_adds "$patch")
        if [ "${#files[@]}" -gt 0 ]; then
            bring_in "${files[@]}" || return
        fi
    done
}

# cover_letter FILE TEXT: a text whose first line is the subject, in place of
# git's marks
cover_letter() {
    awk 'NR == FNR { if (FNR == 1) subject = $0; else if (FNR > 2) blurb = blurb $0 "\n"; next }
         sub(/\*\*\* SUBJECT HERE \*\*\*/, "") { print $0 subject; next }
         /^\*\*\* BLURB HERE \*\*\*$/ { printf "%s", blurb; next }
         { print }' "$2" "$1" >"$1.tmp"
    mv "$1.tmp" "$1"
}

# ---- the parts in which it is posted: what mends QEMU, and what is new

# The first patch that brings in more than tests is the first of what is new.
count_features() {
    local patch count=0
    while read -r patch; do
        if [ "$count" -gt 0 ] || patch_adds "$patch" | grep -q -v '^tests/'; then
            count=$((count + 1))
        fi
    done < <(queue_patches)
    echo "$count"
}

# part_commits PART END: "" is all of it
part_commits() {
    local features
    features=$(git -C "$TREE" rev-parse "$2~$(count_features)") || return
    case $1 in
    fixes) echo "refs/svm/base..$features" ;;
    features) echo "$features..$2" ;;
    *) echo "refs/svm/base..$2" ;;
    esac
}

part_cover() {
    case $1 in
    fixes) cat "$ROOT/patches/cover-fixes.txt" ;;
    # The fixes have no Message-Id before they are posted.
    features) sed -e "2a Based-on: <Message-Id of \"$(head -n 1 "$ROOT/patches/cover-fixes.txt")\">\\n" "$ROOT/patches/cover.txt" ;;
    *) cat "$ROOT/patches/cover.txt" ;;
    esac
}

# write_mails DIR END [PART]
write_mails() {
    local commits
    commits=$(part_commits "${3:-}" "$2") || return
    # The cover letter is by whom the commits are.
    GIT_COMMITTER_NAME=$(git -C "$TREE" log -1 --format=%an "$2") \
        GIT_COMMITTER_EMAIL=$(git -C "$TREE" log -1 --format=%ae "$2") \
        git -C "$TREE" format-patch -q --cover-letter --zero-commit --no-signature \
        -o "$1" "$commits" || return
    cover_letter "$(echo "$1"/0000-*.patch)" <(part_cover "${3:-}")
}

# export_to DIR [PART]: whole or nothing
export_to() {
    local rc=0 tmp=$BUILD/series.mails
    rm -rf "$tmp"
    { make_commits && write_mails "$tmp" "$(side_git rev-parse HEAD)" "${2:-}"; } || rc=$?
    side_close "$SIDE"
    if [ "$rc" -eq 0 ]; then
        mkdir -p "$1"
        find "$1" -maxdepth 1 -name '[0-9]*.patch' -delete
        mv "$tmp"/*.patch "$1/"
        rmdir "$tmp"
    fi
    return "$rc"
}

# ---- what has to hold

apply_series() {
    local -a mails
    mapfile -t mails < <(find "$1" -name '[0-9]*.patch' ! -name '0000-*' | LC_ALL=C sort)
    side_open "$SIDE" "${mails[@]}" || return
    side_git am -q "${mails[@]}"
}

# What the development tree holds as a git tree, our files in place of links.
tree_object() {
    local f
    cp "$TREE/.git/index" "$BUILD/series.index"
    export GIT_INDEX_FILE=$BUILD/series.index
    git -C "$TREE" update-index --no-skip-worktree MAINTAINERS
    git -C "$TREE" add -u
    while read -r f; do
        printf '%s %s\t%s\n' "$(file_mode "$TREE/$f")" "$(git -C "$TREE" hash-object -w "$f")" "$f"
    done <"$TREE/.git/svm-links" | git -C "$TREE" update-index --add --index-info
    git -C "$TREE" write-tree
    unset GIT_INDEX_FILE
    rm -f "$BUILD/series.index"
}

file_mode() {
    if [ -x "$1" ]; then
        echo 100755
    else
        echo 100644
    fi
}

differences() {
    git -C "$TREE" diff --stat "$(side_git rev-parse 'HEAD^{tree}')" "$(tree_object)"
}

# A warning is something to say, too, and no failure of checkpatch's.
checkpatch_mail() {
    (cd "$TREE" && empty scripts/checkpatch.pl --no-color --quiet "$1")
}

# maintainers_missing DIR: those of the files on standard input for which QEMU's
# own tool, in that tree, finds nobody but mailing lists
maintainers_missing() {
    local f found rc=0
    while read -r f; do
        found=$(cd "$1" && scripts/get_maintainer.pl --no-git --no-git-fallback --no-l -f "$f" </dev/null) || rc=1
        if [ -z "$found" ]; then
            echo "get_maintainer.pl names nobody for $f"
            rc=1
        fi
    done
    return "$rc"
}
