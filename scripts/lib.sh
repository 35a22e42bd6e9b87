# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What every step script shares: paths, messages, and running a long command
# with its output in a log.  Sourced, never run.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${SVM_BUILD:-$ROOT/build}
LOGS=$BUILD/log
export TREE=$BUILD/tree
# One more QEMU is built where the tests are to count the lines that they run,
# one that has the benchmark device, one for each sanitizer, and one without the
# series.
export QEMU_BUILD=$BUILD/${SVM_COVERAGE:+coverage-}${SVM_BENCH:+bench-}${SVM_SANITIZE:+$SVM_SANITIZE-}qemu
export PRISTINE_BUILD=$BUILD/pristine-qemu
if [ -n "${SVM_PRISTINE:-}" ]; then
    QEMU_BUILD=$PRISTINE_BUILD
fi

# Steps run below ninja, which keeps their output to itself: messages for a
# person go to the descriptor that the front door left open for them.
UI=${SVM_UI:-2}

# Whoever started us may sit in a git hook or another repository.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# Git's housekeeping would go on in the background when the command has been
# interrupted, with our terminal and our lock (9, see one_at_a_time).  Nor do the
# user's hooks, keys and line ends concern us.
git() {
    env git -c gc.auto=0 -c maintenance.auto=false -c core.hooksPath=/dev/null \
        -c commit.gpgSign=false -c core.autocrlf=false "$@" 9>&-
}

say() {
    printf '%s\n' "$*" >&"$UI"
}

# One sentence, once: the callers above see that it was said and stay quiet.
die() {
    say "svm: $*"
    if [ -d "$LOGS" ]; then
        : >"$LOGS/reported" || true
    fi 2>/dev/null
    exit 1
}

relative() {
    printf '%s\n' "${1#"$ROOT"/}"
}

duration() {
    if [ "$1" -lt 60 ]; then
        printf '%d s\n' "$1"
    else
        printf '%d min %02d s\n' $(($1 / 60)) $(($1 % 60))
    fi
}

# step_label NAME TITLE: "[2/7] TITLE", counted in the steps that the command
# announced
step_label() {
    local n=0 found='' s
    local -a steps
    read -r -a steps <<<"${SVM_STEPS:-}"
    for s in "${steps[@]}"; do
        n=$((n + 1))
        if [ "$s" = "$1" ]; then
            found=$n
        fi
    done
    printf '%s%s\n' "${found:+[$found/$n] }" "$2"
}

# run_group COMMAND...: run it in a process group of its own and take the
# whole group down with us, so that Ctrl-C leaves nothing behind.
run_group() {
    local rc=0
    set -m
    "$@" </dev/null &
    GROUP=$!
    set +m
    trap 'kill_group; exit 130' INT
    trap 'kill_group; exit 143' TERM HUP
    wait "$GROUP" || rc=$?
    trap - INT TERM HUP
    return "$rc"
}

kill_group() {
    trap '' INT TERM HUP
    kill -TERM -- "-$GROUP" 2>/dev/null || true
    wait "$GROUP" 2>/dev/null || true
    if [ -n "${WATCHER:-}" ]; then
        kill "$WATCHER" 2>/dev/null || true
    fi
}

# How far a command is: ninja's [x/y] if the log has one, else its last line.
progress_of() {
    local tail
    tail=$(tail -c 2000 "$1" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-60) || true
    if [[ $tail =~ ^\[[0-9]+/[0-9]+\] ]]; then
        tail=${BASH_REMATCH[0]}
    fi
    printf '%s\n' "$tail"
}

# A terminal sees one line change every second, a log file one line in 30 s.
watch_log() {
    local label=$1 log=$2 start=$SECONDS pause=30 never
    if [ -t "$UI" ]; then
        pause=1
    fi
    # A sleep would outlive us and hold our caller's pipe open.
    exec {never}<> <(:)
    while true; do
        read -r -t "$pause" -u "$never" _ || true
        if [ -t "$UI" ]; then
            printf '\r\033[K%s: %s  %s' "$label" "$(duration $((SECONDS - start)))" \
                "$(progress_of "$log")" >&"$UI"
        else
            say "$label: $(duration $((SECONDS - start)))  $(progress_of "$log")"
        fi
    done
}

# step_run NAME TITLE COMMAND...: run a step's long command; its output goes to
# build/log/NAME.log.  The caller says what to do when it fails.
step_run() {
    local name=$1 label rc=0 start=$SECONDS
    label=$(step_label "${name%%-*}" "$2")
    shift 2
    mkdir -p "$LOGS"
    STEP_LOG=$LOGS/$name.log
    if [ ! -t "$UI" ]; then
        say "$label ..."
    fi
    : >"$STEP_LOG"
    watch_log "$label" "$STEP_LOG" &
    WATCHER=$!
    run_group "$@" >"$STEP_LOG" 2>&1 || rc=$?
    { kill "$WATCHER" && wait "$WATCHER"; } 2>/dev/null || true
    WATCHER=
    if [ -t "$UI" ]; then
        printf '\r\033[K' >&"$UI"
    fi
    if [ "$rc" -ne 0 ]; then
        step_explain "$STEP_LOG"
        return "$rc"
    fi
    say "$label: done in $(duration $((SECONDS - start)))"
}

# Some reasons are the same for every step.
step_explain() {
    local log
    log=$(relative "$1")
    # The log may be on that disk, and not say so.
    if grep -q 'No space left on device' "$1" || [ "$(free_space)" -lt 16 ]; then
        die "the disk is full: free some space below $BUILD and run the command again (log: $log)"
    fi
}

# free_space: that of build/, in MiB
free_space() {
    echo $(($(df -Pk "$BUILD" | awk 'NR == 2 { print $4 }') / 1024))
}

# need_space MIB: refuse to start what would fill the disk
need_space() {
    local free
    mkdir -p "$BUILD" || die "cannot write to $BUILD: make it writable or use another checkout"
    free=$(free_space)
    if [ "$free" -lt "$1" ]; then
        die "not enough disk space: $BUILD has $free MiB free and this step needs $1 MiB"
    fi
}

# A stamp holds the key of the inputs that a step's result was made from.
stamp_is() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

stamp_set() {
    printf '%s\n' "$2" >"$1.tmp"
    mv -f "$1.tmp" "$1"
}

hash_of() {
    sha256sum | cut -c 1-40
}

hash_files() {
    cat -- "$@" | hash_of
}

# Our files that stand in QEMU's tree.  What only the outer build uses is not
# among them.
in_tree_files() {
    (cd "$ROOT" && find configs contrib docs hw include tests \
        \( -path tests/guest -o -path tests/static -o -path tests/fuzz -o -path tests/sanitizers \) -prune -o \
        -type f ! -name '*~' ! -name '.*' ! -name '*.orig' ! -name '*.rej' -print 2>/dev/null |
        LC_ALL=C sort)
}

queue_patches() {
    find "$ROOT/patches" -maxdepth 1 -name '[0-9]*.patch' | LC_ALL=C sort
}

# Lines "Adds: PATH" stand between the "---" of the mail and its diff.
patch_adds() {
    awk '/^diff --git /{ exit } seen && /^Adds: /{ print $2 } /^---$/{ seen = 1 }' "$1"
}

# The mail alone.  Git ignores "Adds:" lines above a diff, but takes them for a
# broken one where a patch has no diff.
patch_mail() {
    awk '/^diff --git / && !diff { diff = 1; if (below) print "---" }
         /^---$/ && !diff { below = 1; next }
         !(below && !diff && /^Adds: /)' "$1"
}

# side_open DIR PATCH...: a worktree of the pristine base in which these can be
# applied.  It holds only the files that they touch: QEMU has ten thousand.
side_open() {
    local dir=$1
    shift
    side_close "$dir"
    git -C "$TREE" worktree add -q --no-checkout --detach "$dir" refs/svm/base || return
    {
        printf '/%s\n' VERSION MAINTAINERS
        if [ "$#" -gt 0 ]; then
            cat "$@" | sed -n 's,^diff --git a/\([^ ]*\) .*,/\1,p'
        fi
    } | sort -u | git -C "$dir" sparse-checkout set --no-cone --stdin || return
    git -C "$dir" checkout -q
    export GIT_COMMITTER_NAME=qemu-svm GIT_COMMITTER_EMAIL=qemu-svm@invalid
}

side_close() {
    rm -rf "$1"
    git -C "$TREE" worktree prune
}

jobs_count() {
    if [ "${SVM_JOBS:-0}" -gt 0 ]; then
        printf '%s\n' "$SVM_JOBS"
    else
        nproc
    fi
}

# One cache for QEMU and the kernel; another checkout may share it.
use_ccache() {
    export CCACHE_DIR=${CCACHE_DIR:-$BUILD/ccache}
    export CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1
    export CCACHE_DEPEND=1 CCACHE_SLOPPINESS=time_macros CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-4G}
}

# ---- QEMU and its tests

# sanitizer_options LOG: what a QEMU that is built with sanitizers looks at; it
# stops at the first finding.  Reports go to LOG.PID, unless LOG is empty.
sanitizer_options() {
    local common=halt_on_error=1${1:+:log_path=$1}
    # QEMU frees little when it ends.
    export ASAN_OPTIONS=$common:detect_leaks=0
    export UBSAN_OPTIONS=$common:print_stacktrace=1
    # The test programs fork, and RCU starts its thread in the child, up to exec().
    export TSAN_OPTIONS=$common:die_after_fork=0:suppressions=$ROOT/tests/sanitizers/tsan.supp
    # GLib hands slices from one thread to another by locks that TSan does not see.
    export G_SLICE=always-malloc
}

# What ASan says of coroutines, whose stacks it was told of
SANITIZER_NOISE="WARNING: ASan doesn't fully support makecontext|\
WARNING: ASan is ignoring requested __asan_handle_no_return|\
^False positive error reports may follow$|\
^For details see https://github.com/google/sanitizers/issues/189$"

# sanitized NAME COMMAND...: run it. What a sanitizer reports of a QEMU that it
# starts is printed as comments, and a failure, whatever the command makes of it.
sanitized() {
    local reports=$LOGS/$SVM_SANITIZE-$1 rc=0
    shift
    rm -f "$reports".*
    sanitizer_options "$reports"
    ("$@") || rc=$?
    if cat "$reports".* 2>/dev/null | grep -v -E "$SANITIZER_NOISE" | sed 's/^/# /' | grep .; then
        rc=1
    fi
    return "$rc"
}

# without_kvm COMMAND...: becomes that command.  Some tests would take KVM where
# there is one, and a nested or restricted one (no SMM, no emulation of big
# real mode) fails them: they all run under TCG.
without_kvm() {
    local none=$BUILD/no-kvm
    local -a unshare=(unshare --mount)
    if [ "$(id -u)" != 0 ]; then
        unshare+=(--map-root-user)
    fi
    if [ ! -w /dev/kvm ] || ! "${unshare[@]}" true 2>/dev/null; then
        exec "$@"
    fi
    : >"$none"
    # A file that nobody can write is no KVM, for root either.
    # shellcheck disable=SC2016  # expanded by that shell
    exec "${unshare[@]}" sh -c '
        mount --bind "$0" /dev/kvm && mount -o remount,bind,ro /dev/kvm
        exec "$@"' "$none" "$@"
}
