# SPDX-License-Identifier: Apache-2.0
# bash completion of fipcctl: of whichever is installed, so that the two never differ.
eval "$(fipcctl completion bash 2>/dev/null)"
