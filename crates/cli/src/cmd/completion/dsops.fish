# Completion of dsops for fish: dsops completion fish > ~/.config/fish/completions/dsops.fish

function __dsops_complete
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    set -l current (commandline -ct)
    for line in ($program __complete -- $typed "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- "$current")
            case ':folders'
                __fish_complete_directories (string replace -r '^--[^=]*=' '' -- "$current")
            case ':command *'
                set -l start (string replace ':command ' '' -- $line)
                # The program's own command line, as if it stood alone.
                set -l inner $typed[(math $start + 1)..-1]
                if test (count $typed) -le $start
                    complete -C "$current"
                else
                    complete -C (string join ' ' -- (string escape -- $inner) $current)
                end
            case '*'
                echo $line
        end
    end
end

complete -c dsops -f -a '(__dsops_complete)'
