# SPDX-License-Identifier: GPL-2.0-or-later
#
# Default configuration for x86_64-softmmu, and the benchmark device for
# shared virtual memory (-device svm-bench)

include default.mak

CONFIG_SVM_BENCH=y
