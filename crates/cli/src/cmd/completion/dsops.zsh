#compdef dsops
# Completion of dsops for zsh: in a folder of $fpath as _dsops, or source <(dsops completion zsh)

_dsops() {
    local -a described
    local line word meaning rest=''
    local current=$PREFIX
    for line in "${(@f)$(${(Q)words[1]} __complete -- "${(@Q)words[2,CURRENT-1]}" "$current" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :*) rest=${line#:} ;;
            *)
                word=${line%%$'\t'*}
                meaning=${line#*$'\t'}
                described+=("${word//:/\\:}:$meaning")
                ;;
        esac
    done
    (($#described)) && _describe -V dsops described
    case $rest in
        files | folders)
            compset -P '--*='
            if [[ $rest == folders ]]; then _files -/; else _files; fi
            ;;
        command\ *)
            local -i start=${rest#command }
            shift $((start + 1)) words
            ((CURRENT -= start + 1))
            _normal
            ;;
    esac
}

if [[ $funcstack[1] == _dsops ]]; then
    _dsops "$@"
else
    compdef _dsops dsops
fi
