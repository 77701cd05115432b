# Completion of dsops for Nushell: dsops completion nushell | save -f dsops.nu, then in config.nu: source dsops.nu

let dsops_others = $env.config?.completions?.external?.completer?

$env.config.completions.external.enable = true
$env.config.completions.external.completer = {|spans|
    if ($spans.0 | path basename) != "dsops" {
        return (if $dsops_others == null { null } else { do $dsops_others $spans })
    }
    let answer = (^$spans.0 __complete -- ...($spans | skip 1) | complete | get stdout | lines)
    let rest = ($answer | where $it starts-with ":" | get -o 0 | default "")
    if $rest == ":files" or $rest == ":folders" {
        # Nothing from here: Nushell completes paths itself.
        return null
    }
    if ($rest starts-with ":command ") {
        let inner = ($spans | skip (($rest | split row " " | get 1 | into int) + 1))
        return (if $dsops_others == null { null } else { do $dsops_others $inner })
    }
    $answer | each {|line|
        let parts = ($line | split row "\t")
        { value: $parts.0, description: ($parts | get -o 1 | default "") }
    }
}
