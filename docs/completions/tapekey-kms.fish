# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tapekey_kms_global_optspecs
    string join \n h/help V/version
end

function __fish_tapekey_kms_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tapekey_kms_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tapekey_kms_using_subcommand
    set -l cmd (__fish_tapekey_kms_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -s V -l version -d 'Print version'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "init" -d 'Make a KMS in an empty folder: CAs, certificates, host master key, store'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "serve" -d 'Serve keys over HTTPS until SIGTERM or SIGINT'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "snapshot" -d 'Write a consistent copy of the store into a file on another disk, while the service runs'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "restore" -d 'Make a KMS in an empty folder from a snapshot and the host master key'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "kit" -d 'Write all keys, sealed under a passphrase of its own, into one text to print: the off-line recovery kit'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "recover" -d 'Give a drive the key of one volume, from a kit or a passphrase, without a KMS'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "reseal" -d 'Seal the store under another host master key, also while the service runs'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "verify" -d 'Check that every record of a KMS or a snapshot opens and that everything fits'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "certificate" -d 'Certificates of clients'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "node" -d 'Nodes of a KMS that share one store'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "store" -d 'The store as a whole'
complete -c tapekey-kms -n "__fish_tapekey_kms_needs_command" -f -a "audit" -d 'The audit log of the local store'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l host -d 'A name or address under which hosts reach this KMS (repeatable); it goes into the server\'s certificate' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l master-key -d 'Where the host master key comes from; without it from a new file in the folder. A FILE that is not there is made' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l postgresql -d 'Keep the store in PostgreSQL: the server\'s name, address, or the folder of its Unix socket' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l port -d 'Its port' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l database -d 'The database; it must be there' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l user -d 'The role that owns the tables' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l password-file -d 'File with the role\'s password, mode 0600' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l ca-file -d 'CA certificates (PEM) of a server on another host' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l data-directory -d 'Where a server on this host keeps its data (SHOW data_directory)' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -l weak -d 'Accept a passphrase that is weaker than the proposal'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand init" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand serve" -l listen -d 'Listen here instead of where kms.toml says; port 0 takes any free one, which the ready line names' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand serve" -l metrics-listen -d 'Answer health, readiness and metrics here, to anybody and without TLS, instead of where kms.toml says' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand serve" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand serve" -l log-json -d 'Log as one JSON object a line'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand snapshot" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand snapshot" -l same-filesystem -d 'Accept that FILE lies on the store\'s file system: it then counts for no key; audited'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand snapshot" -l json -d 'Print JSON instead of text'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand snapshot" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand restore" -l master-key -d 'The host master key that the store is sealed under' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand restore" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand restore" -l host -d 'A name or address under which hosts reach this KMS (repeatable); it goes into the new server certificate' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand restore" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand kit" -l passphrase-fd -d 'Read the kit\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand kit" -l weak -d 'Accept a passphrase that is weaker than the proposal; audited'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand kit" -l same-filesystem -d 'Accept that FILE lies on the store\'s file system: it then counts for no key; audited'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand kit" -l json -d 'Print JSON instead of text'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand kit" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l kit -d 'The kit: its file, or what a scanner made of it; - to type its lines' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l kad -d 'The KAD of the volume, as tapekey unlock prints it' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l a-kad -d 'The authenticated KAD, which only other software writes' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l key -d 'Take this key of those that a KAD of other software names' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l key-fd -d 'Write the volume\'s key, 32 bytes, to this file descriptor: 1 if it is a pipe, or 3 and up' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l passphrase-fd -d 'Read the passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l into -d 'Make a whole new KMS of the kit in this folder, which must be empty or not exist' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l host -d 'A name or address under which hosts reach the new KMS (repeatable); it goes into the server\'s certificate' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l passphrase-key -d 'Without a kit: the key was made of a passphrase, which with the KAD is enough'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l list -d 'Show what is in the kit, without any key'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -l json -d 'Print the list as JSON'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand recover" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -l master-key -d 'Where the new host master key comes from; a FILE that is not there is made' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -l new-passphrase-fd -d 'Read the new passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -l weak -d 'Accept a new passphrase that is weaker than the proposal'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -l json -d 'Print JSON instead of text'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand reseal" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand verify" -l master-key -d 'The host master key, where it is not the folder\'s own' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand verify" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand verify" -l json -d 'Print JSON instead of text'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand verify" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and not __fish_seen_subcommand_from admit" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and not __fish_seen_subcommand_from admit" -f -a "admit" -d 'Make a certificate known that this KMS\'s issuing CA signed and the store does not have'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and __fish_seen_subcommand_from admit" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and __fish_seen_subcommand_from admit" -l group -d 'A group whose keys a media server gets (repeatable)' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and __fish_seen_subcommand_from admit" -l all-groups -d 'A media server gets the keys of every group'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand certificate; and __fish_seen_subcommand_from admit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and not __fish_seen_subcommand_from join" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and not __fish_seen_subcommand_from join" -f -a "join" -d 'Make one more node in an empty folder, on a PostgreSQL server that has a store'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l master-key -d 'The host master key that the store is sealed under' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l host -d 'A name or address under which hosts reach this node (repeatable); it goes into the server\'s certificate' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l postgresql -d 'Keep the store in PostgreSQL: the server\'s name, address, or the folder of its Unix socket' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l port -d 'Its port' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l database -d 'The database; it must be there' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l user -d 'The role that owns the tables' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l password-file -d 'File with the role\'s password, mode 0600' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l ca-file -d 'CA certificates (PEM) of a server on another host' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -l data-directory -d 'Where a server on this host keeps its data (SHOW data_directory)' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand node; and __fish_seen_subcommand_from join" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and not __fish_seen_subcommand_from copy" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and not __fish_seen_subcommand_from copy" -f -a "copy" -d 'Copy the store into a new SQLite file or an empty PostgreSQL database, and look at every record of the copy'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l postgresql -d 'Keep the store in PostgreSQL: the server\'s name, address, or the folder of its Unix socket' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l port -d 'Its port' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l database -d 'The database; it must be there' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l user -d 'The role that owns the tables' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l password-file -d 'File with the role\'s password, mode 0600' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l ca-file -d 'CA certificates (PEM) of a server on another host' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -l data-directory -d 'Where a server on this host keeps its data (SHOW data_directory)' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand store; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and not __fish_seen_subcommand_from list verify export" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and not __fish_seen_subcommand_from list verify export" -f -a "list" -d 'List every record, one a line: node, number, time, who, what; oldest first. Stops with an error where the chain is broken'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and not __fish_seen_subcommand_from list verify export" -f -a "verify" -d 'Find records that are missing, altered, moved or cut off at the end; exit code 1 if there are any'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and not __fish_seen_subcommand_from list verify export" -f -a "export" -d 'Write every record as one JSON object a line'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from list" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from list" -l json -d 'One JSON object a line'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from verify" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from verify" -l head -d 'A head that was seen earlier, as NODE:RECORD:MAC: from tapekey kms head list --json on a host, a snapshot or a recovery kit (repeatable)' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON instead of text'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from export" -l passphrase-fd -d 'Read the host master key\'s passphrase from this file descriptor instead of the terminal' -r
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from export" -l out -d 'The file to make; without it, standard output' -r -F
complete -c tapekey-kms -n "__fish_tapekey_kms_using_subcommand audit; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
