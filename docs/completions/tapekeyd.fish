complete -c tapekeyd -l config -d 'Configuration file' -r -F
complete -c tapekeyd -l log-json -d 'Log as JSON, one object a line'
complete -c tapekeyd -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekeyd -s V -l version -d 'Print version'
