# dsops for zsh: eval "$(dsops hook zsh)" in ~/.zshrc
_dsops_hook() {
  eval "$(@DSOPS@ hook-state zsh --loaded "${_dsops_loaded-}")"
}
autoload -Uz add-zsh-hook
add-zsh-hook chpwd _dsops_hook
_dsops_hook
