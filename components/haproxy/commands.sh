# The end of the script: see apply.ts. Its commands, beside `stage` and `apply` (apply.sh):
# shellcheck shell=bash disable=SC2154,SC2015,SC2153
#
#   check NAME KIB FILES      whether there is room for a release, here and on every server; "send", or "have" if it is here
#   room NAME KIB FILES       the same of the load balancer alone
#   take NAME                 keeps the release that is on stdin (a compressed tar), and prints its word: a new one each time
#   push WORD                 makes it the one that every server serves, a few at a time
#   rollback [NAME]           the same with the one before, or with that one
#   releases                  which server serves which release, and which one runs the jobs that run once
#   tick                      for a timer: what apply had to leave to later, and the right to run those jobs

# For ask_setup, which runs in processes of its own.
export -f on_server bring_release send_release release_on switch_to current_release because

readonly USAGE="usage: $0 stage | apply WORD READY_SECONDS | check NAME KIB FILES | room NAME KIB FILES | take NAME |
    push WORD | rollback [NAME] | releases | tick"
case ${1-}:$# in
stage:1 | apply:3 | check:4 | room:4 | take:2 | push:2 | rollback:[12] | releases:1 | tick:1) "$@" ;;
*) fail "$USAGE" ;;
esac
