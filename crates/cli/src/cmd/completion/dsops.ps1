# Completion of dsops for PowerShell: dsops completion powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName dsops -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $typed = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.Extent.Text })
    $program = $commandAst.CommandElements[0].Extent.Text
    # An empty word would be lost on its way to a program, so `--` and the word go as one list.
    $all = @('__complete', '--') + $typed + @($wordToComplete)
    & $program @all 2>$null | ForEach-Object {
        if (-not $_.StartsWith(':')) {
            $word, $meaning = $_ -split "`t", 2
            if (-not $meaning) { $meaning = $word }
            [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $meaning)
        }
    }
}
