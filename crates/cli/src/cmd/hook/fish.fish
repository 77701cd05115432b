# dsops for fish: dsops hook fish | source, in ~/.config/fish/config.fish
function _dsops_hook --on-variable PWD --description 'load and unload the secrets of a project'
    @DSOPS@ hook-state fish --loaded "$_dsops_loaded" | source
end
_dsops_hook
