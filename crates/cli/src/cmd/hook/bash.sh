# dsops for bash: eval "$(dsops hook bash)" in ~/.bashrc
_dsops_hook() {
  local _dsops_status=$?
  if [ "$PWD" != "${_dsops_seen-}" ]; then
    _dsops_seen=$PWD
    eval "$(@DSOPS@ hook-state bash --loaded "${_dsops_loaded-}")"
  fi
  return "$_dsops_status"
}
case ";${PROMPT_COMMAND-};" in
  *_dsops_hook*) ;;
  *) PROMPT_COMMAND="_dsops_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}" ;;
esac
