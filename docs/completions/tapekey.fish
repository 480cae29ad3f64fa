# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tapekey_global_optspecs
    string join \n socket= json h/help V/version
end

function __fish_tapekey_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tapekey_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tapekey_using_subcommand
    set -l cmd (__fish_tapekey_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tapekey -n "__fish_tapekey_needs_command" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_needs_command" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_needs_command" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_needs_command" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "load" -d 'Load the key for writing the volume in a drive'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "unlock" -d 'Load the key that the volume in a drive is encrypted under, to read it'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "clear" -d 'Take the key out of a drive, after the proof of what is on the volume'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "run" -d 'Run a program with the key of the volume in a drive, and take the key out again'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "status" -d 'Show what the drives do now, as just read from them'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "doctor" -d 'Find out whether drives, media, permissions and KMS will work, and what to change'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "drive" -d 'Show the drives of this host, and keep programs off them'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "library" -d 'Show the libraries of this host'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "job" -d 'Show what was done, and how it went'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "config" -d 'Check configuration files'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "kms" -d 'Key groups, keys and snapshots of a running KMS'
complete -c tapekey -n "__fish_tapekey_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -l pool -d 'The volume\'s pool; needed for a blank volume' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -l barcode -d 'The barcode that the volume must have' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand load" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -l key-fd -d 'Do not ask the KMS: take the key out of the pipe at this file descriptor, as tapekey-kms recover gives it' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -l scan -d 'Load no key: walk over the whole tape and list which KADs stand where. It moves the tape, which is rewound at the end'
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand unlock" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand clear" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand clear" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand clear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand clear" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l drive -d 'The drive\'s name in the daemon\'s configuration' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l pool -d 'The volume\'s pool; needed for a blank volume. With --restore, the pool that the volume must belong to' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l barcode -d 'The barcode that the volume must have' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l outcome -d 'Write what came of it to this file as JSON; /dev/fd/N names a descriptor. Needed with --json' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l wait -d 'How long to try to take the key out while the daemon does not answer or the drive is in use' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l restore -d 'Load the key that the volume is encrypted under, as tapekey unlock does'
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand run" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand status" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand status" -l look -d 'Ask also drives that hold a key: only while no program writes on them'
complete -c tapekey -n "__fish_tapekey_using_subcommand status" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand status" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand doctor" -l config -d 'Configuration file of the daemon' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand doctor" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand doctor" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -f -a "list" -d 'List all drives that the kernel shows or the configuration names, where they are and what is in them'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -f -a "hold" -d 'Keep programs off a drive until a key is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -f -a "release" -d 'Let programs use a drive for a time, whatever is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and not __fish_seen_subcommand_from list hold release help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from list" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from hold" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from hold" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from hold" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -l reason -d 'Why, for those who read the records later' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -l for -d 'For how long: seconds, minutes, hours or days, as in 30m, 4h or 2d; at most 7d' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from release" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all drives that the kernel shows or the configuration names, where they are and what is in them'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from help" -f -a "hold" -d 'Keep programs off a drive until a key is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from help" -f -a "release" -d 'Let programs use a drive for a time, whatever is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand drive; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -f -a "show" -d 'Show what is in which place, as the library last said'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and not __fish_seen_subcommand_from show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from show" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from show" -l all -d 'Also places with nothing in them'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from show" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what is in which place, as the library last said'
complete -c tapekey -n "__fish_tapekey_using_subcommand library; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -f -a "list" -d 'List the newest jobs, newest first'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -f -a "show" -d 'Show everything about one job'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -f -a "cancel" -d 'Have a running scan end where it is; the tape is rewound'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and not __fish_seen_subcommand_from list show cancel help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -l drive -d 'Only jobs of this drive' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -l limit -d 'At most this many' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from show" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from show" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from cancel" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from cancel" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from cancel" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the newest jobs, newest first'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show everything about one job'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "cancel" -d 'Have a running scan end where it is; the tape is rewound'
complete -c tapekey -n "__fish_tapekey_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Check the configuration of tapekeyd, and the files that it names'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from check" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check the configuration of tapekeyd, and the files that it names'
complete -c tapekey -n "__fish_tapekey_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "join" -d 'On a new host: make a private key here, get a certificate for it with a token, and write a client bundle'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "group" -d 'Key groups: one for each pool of encrypted volumes, named like it'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "key" -d 'Keys of a group'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "snapshot" -d 'Copies of the whole store, which let a key outlive the store\'s disk'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "server" -d 'External servers that hold keys: where they are, how they are used, whether they work'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "cache" -d 'What external servers answered, kept by the KMS for ten minutes'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "request" -d 'What needs two administrators and a waiting time: deleting keys and groups, a further administrator'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "audit" -d 'The audit log: every release of a key, every change, every refusal'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "head" -d 'What is remembered of the KMS\'s audit chains, so that a store that was rolled back is noticed'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "rotate" -d 'Put new keys in the place of active ones that are old enough'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "seal" -d 'What the keys in the store are sealed under'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "certificate" -d 'Certificates of clients: who may ask the KMS'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "enroll" -d 'Tokens with which new hosts and people join'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "status" -d 'Show how the KMS is; exit code 1 if there is an alarm, keys are in no snapshot or a certificate ends soon'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "quiesce" -d 'Refuse changes of groups and keys until it is taken back; keys are given out all the same'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "unquiesce" -d 'Take one quiesce back; with the last one, changes are allowed again'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and not __fish_seen_subcommand_from join group key snapshot server cache request audit head rotate seal certificate enroll status quiesce unquiesce help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -l token-fd -d 'Read the token from this file descriptor instead of the terminal' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from join" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "create" -d 'Make a group'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "rename" -d 'Give a group another name; rename the pool on its hosts too, they ask for the group by that name'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "describe" -d 'Give a group another note for people'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "bind" -d 'Have a group\'s new keys come from one server alone; what was written before is restored from all servers'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "set" -d 'Set after how many days the group\'s active key is rotated by itself'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "list" -d 'List all groups'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from group" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "create" -d 'Make a random key, or one of a passphrase; it is prelive until it is activated. In an external server it is active at once'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "import" -d 'Import keys of other software into an as-is group, all of a file or none; shows what would happen unless --commit is given'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "activate" -d 'Make a key the one that new volumes are written under; the former one then serves restores only'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "rotate" -d 'Make a key, have a snapshot take it up, and activate it; the former key serves until then'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "retire" -d 'Take a key out of use, or back, one step at a time: active, inactive, deprecated, terminated'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "rename" -d 'Give a key another name; its id and its volumes stay'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "describe" -d 'Give a key another note for people'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "move" -d 'Put a key that is not active into another group of the same kind; its id stays, so its volumes are restored as before'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "list" -d 'List keys, without their bytes'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from key" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -f -a "create" -d 'Make a snapshot of the store, in a file on the KMS\'s host, while it serves'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -f -a "list" -d 'List the newest snapshots and recovery kits'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from snapshot" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "add" -d 'Add an external KMIP server; it is asked from then on'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "list" -d 'List the external servers, in the order in which they are asked'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "show" -d 'Show everything about one server, but for its private key'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "set" -d 'Change what is named and leave the rest as it is; works on the running service'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "remove" -d 'Take a server out of the configuration; refused while volumes are known that were written under its keys'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "check" -d 'Have the KMS look at a server: certificates, versions, how it searches. One line for each finding; exit code 1 if one failed'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from server" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -f -a "clear" -d 'Forget all of it: the next requests ask the external servers again'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from cache" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "delete-key" -d 'Ask that the bytes of a key be deleted; its record stays. Only of prelive and terminated keys'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "delete-group" -d 'Ask that a group be deleted that has never had a key'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "approve" -d 'Approve a request of another administrator; its time comes 30 days of service later'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "undo" -d 'Take a request back, whoever made it'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "list" -d 'List the requests that are open'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "show" -d 'Show everything about one request'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from request" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -f -a "list" -d 'Show every record, one a line: node, number, time, who, what; oldest first, one node\'s after the other\'s'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -f -a "export" -d 'Write every record as one JSON object a line'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Find records that are missing, altered, moved or cut off at the end; exit code 1 if there are any'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from audit" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -f -a "list" -d 'Show the remembered heads; exit code 1 if one does not fit what the KMS shows now'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -f -a "accept" -d 'Clear an alarm: the store was rolled back on purpose, as by a restore'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from head" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -l due -d 'Carry out every rotation by age that is due, and those that were begun'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -f -a "rotate" -d 'Draw another key protection key; what is stored is sealed under it in the background, see status'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from seal" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -f -a "list" -d 'List the certificates that the KMS issued to clients'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -f -a "revoke" -d 'End a client\'s certificates before their time, at once and on open connections too'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -f -a "bind" -d 'Bind a media server to other groups, at once; those that are not named are no longer its own'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -f -a "renew" -d 'Get a new certificate for the bundle in use, and write it into the bundle'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from certificate" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -f -a "create" -d 'Make a token with which one new host gets one certificate; it is shown once and good for an hour'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -f -a "list" -d 'List the tokens that can still be used, without the tokens themselves'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -f -a "cancel" -d 'Make the tokens for a name worthless, before anybody uses them'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from enroll" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from quiesce" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -l client -d 'Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -l address -d 'Address of the KMS instead of those in the bundle (repeatable, tried in order)' -r
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -l socket -d 'Control socket of tapekeyd' -r -F
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -l json -d 'Print JSON instead of text'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -s h -l help -d 'Print help'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from unquiesce" -s V -l version -d 'Print version'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "join" -d 'On a new host: make a private key here, get a certificate for it with a token, and write a client bundle'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "group" -d 'Key groups: one for each pool of encrypted volumes, named like it'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "key" -d 'Keys of a group'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "snapshot" -d 'Copies of the whole store, which let a key outlive the store\'s disk'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "server" -d 'External servers that hold keys: where they are, how they are used, whether they work'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "cache" -d 'What external servers answered, kept by the KMS for ten minutes'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "request" -d 'What needs two administrators and a waiting time: deleting keys and groups, a further administrator'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "audit" -d 'The audit log: every release of a key, every change, every refusal'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "head" -d 'What is remembered of the KMS\'s audit chains, so that a store that was rolled back is noticed'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Put new keys in the place of active ones that are old enough'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "seal" -d 'What the keys in the store are sealed under'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "certificate" -d 'Certificates of clients: who may ask the KMS'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "enroll" -d 'Tokens with which new hosts and people join'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show how the KMS is; exit code 1 if there is an alarm, keys are in no snapshot or a certificate ends soon'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "quiesce" -d 'Refuse changes of groups and keys until it is taken back; keys are given out all the same'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "unquiesce" -d 'Take one quiesce back; with the last one, changes are allowed again'
complete -c tapekey -n "__fish_tapekey_using_subcommand kms; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "load" -d 'Load the key for writing the volume in a drive'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "unlock" -d 'Load the key that the volume in a drive is encrypted under, to read it'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "clear" -d 'Take the key out of a drive, after the proof of what is on the volume'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "run" -d 'Run a program with the key of the volume in a drive, and take the key out again'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "status" -d 'Show what the drives do now, as just read from them'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "doctor" -d 'Find out whether drives, media, permissions and KMS will work, and what to change'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "drive" -d 'Show the drives of this host, and keep programs off them'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "library" -d 'Show the libraries of this host'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "job" -d 'Show what was done, and how it went'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "config" -d 'Check configuration files'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "kms" -d 'Key groups, keys and snapshots of a running KMS'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and not __fish_seen_subcommand_from load unlock clear run status doctor drive library job config kms help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from drive" -f -a "list" -d 'List all drives that the kernel shows or the configuration names, where they are and what is in them'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from drive" -f -a "hold" -d 'Keep programs off a drive until a key is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from drive" -f -a "release" -d 'Let programs use a drive for a time, whatever is in it'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from library" -f -a "show" -d 'Show what is in which place, as the library last said'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "list" -d 'List the newest jobs, newest first'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "show" -d 'Show everything about one job'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "cancel" -d 'Have a running scan end where it is; the tape is rewound'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check the configuration of tapekeyd, and the files that it names'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "join" -d 'On a new host: make a private key here, get a certificate for it with a token, and write a client bundle'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "group" -d 'Key groups: one for each pool of encrypted volumes, named like it'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "key" -d 'Keys of a group'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "snapshot" -d 'Copies of the whole store, which let a key outlive the store\'s disk'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "server" -d 'External servers that hold keys: where they are, how they are used, whether they work'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "cache" -d 'What external servers answered, kept by the KMS for ten minutes'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "request" -d 'What needs two administrators and a waiting time: deleting keys and groups, a further administrator'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "audit" -d 'The audit log: every release of a key, every change, every refusal'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "head" -d 'What is remembered of the KMS\'s audit chains, so that a store that was rolled back is noticed'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "rotate" -d 'Put new keys in the place of active ones that are old enough'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "seal" -d 'What the keys in the store are sealed under'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "certificate" -d 'Certificates of clients: who may ask the KMS'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "enroll" -d 'Tokens with which new hosts and people join'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "status" -d 'Show how the KMS is; exit code 1 if there is an alarm, keys are in no snapshot or a certificate ends soon'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "quiesce" -d 'Refuse changes of groups and keys until it is taken back; keys are given out all the same'
complete -c tapekey -n "__fish_tapekey_using_subcommand help; and __fish_seen_subcommand_from kms" -f -a "unquiesce" -d 'Take one quiesce back; with the last one, changes are allowed again'
