# dsops for nushell: dsops hook nu | save -f ~/.config/nushell/dsops.nu, and source that in config.nu
export-env {
  $env.config = ($env.config? | default {} | upsert hooks.env_change.PWD {|config|
    ($config.hooks?.env_change?.PWD? | default []) | append {|before, after|
      let state = (^@DSOPS@ hook-state nu --loaded ($env._dsops_loaded? | default '') | from json)
      if ($state.unload | is-not-empty) {
        hide-env --ignore-errors ...$state.unload
        load-env ($env._dsops_was? | default {})
        $env._dsops_was = {}
        $env._dsops_loaded = ''
      }
      if ($state.load != null) {
        let values = (^@DSOPS@ --config $state.load.config --env $state.load.env --non-interactive render --only-trusted --format json --flat --out - | from json)
        $env._dsops_was = ($env | transpose name value | where name in ($values | columns) | reduce --fold {} {|one, all| $all | upsert $one.name $one.value})
        load-env $values
        $env._dsops_loaded = $state.load.loaded
      }
    }
  })
}
