# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Tests in shell, reported by the Test Anything Protocol.  Sourced, after
# scripts/lib.sh.

TAP_COUNT=0
TAP_FAILED=0

# tap NAME COMMAND...: the test passes if the command does; what it says is
# shown if it does not
tap() {
    local name=$1 output
    shift
    TAP_COUNT=$((TAP_COUNT + 1))
    if output=$("$@" 2>&1); then
        printf 'ok %d - %s\n' "$TAP_COUNT" "$name"
    else
        TAP_FAILED=$((TAP_FAILED + 1))
        printf 'not ok %d - %s\n' "$TAP_COUNT" "$name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
}

tap_end() {
    printf '1..%d\n' "$TAP_COUNT"
    [ "$TAP_FAILED" -eq 0 ]
}

# empty COMMAND...: what a check finds is what is wrong
empty() {
    local found
    found=$("$@") || return
    if [ -n "$found" ]; then
        printf '%s\n' "$found"
        return 1
    fi
}
