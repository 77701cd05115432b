# Completion of dsops for bash: source <(dsops completion bash)

_dsops() {
    COMPREPLY=()
    local args=() at=() i word last answer line rest=''
    # Bash splits words at `=` and `:`; put them together again, and remember where each began.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        last=$((${#args[@]} - 1))
        if ((last >= 0)) && [[ ${args[last]} == --* && ($word == = || ${args[last]} == *=) ]]; then
            args[last]+=$word
        else
            args+=("$word")
            at+=("$i")
        fi
    done
    ((${#args[@]})) || return
    local current=${args[${#args[@]} - 1]}
    answer=$("$1" __complete -- "${args[@]}" 2>/dev/null) || return
    # What is before the `=` stands on the line already.
    local before=''
    [[ $COMP_WORDBREAKS == *=* && $current == --*=* ]] && before=${current%%=*}=
    while IFS= read -r line; do
        case $line in
            '') ;;
            :*) rest=${line#:} ;;
            *)
                word=${line%%$'\t'*}
                COMPREPLY+=("${word#"$before"}")
                ;;
        esac
    done <<<"$answer"
    case $rest in
        files | folders)
            local kind=-f
            [[ $rest == folders ]] && kind=-d
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen "$kind" -- "${current#"$before"}")
            ;;
        command\ *)
            local start=${at[${rest#command }]}
            if declare -F _command_offset >/dev/null; then
                _command_offset "$start"
            elif declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset "$start"
            elif ((start == COMP_CWORD)); then
                while IFS= read -r line; do
                    COMPREPLY+=("$line")
                done < <(compgen -c -- "$current")
            else
                compopt -o default 2>/dev/null
            fi
            ;;
    esac
}

complete -F _dsops dsops
