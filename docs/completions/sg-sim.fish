# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sg_sim_global_optspecs
    string join \n h/help V/version
end

function __fish_sg_sim_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sg_sim_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sg_sim_using_subcommand
    set -l cmd (__fish_sg_sim_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sg-sim -n "__fish_sg_sim_needs_command" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -s V -l version -d 'Print version'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "serve" -d 'Run a drive or a library on Unix sockets until SIGTERM or SIGINT'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "serve-vhost" -d 'Run a drive or a library for a QEMU guest (vhost-user-scsi) until SIGTERM or SIGINT'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "run" -d 'Run a program that finds a drive at /sim/nst0 (/sim/st0) and /sim/sg0'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "control" -d 'Give a running drive an order, or ask for its status'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "create" -d 'Make a cartridge file with a blank medium'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "inspect" -d 'Say what a cartridge file holds; never changes it'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "trace" -d 'Say in words what a trace file holds'
complete -c sg-sim -n "__fish_sg_sim_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l socket -d 'Where to listen for SCSI commands. With --library there is a socket for each unit: PATH.0, PATH.1, … for the drives in bay order, and the last one for the changer' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l library -d 'Library to serve, described in this file (docs/library.md), instead of one drive' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l cartridge -d 'Cartridge to load; without it the drive starts empty' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l serial -d 'Serial number of the drive, 10 characters' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l barcode -d 'Barcode of the cartridge; one that exists must have it' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l medium-serial -d 'Serial number in the cartridge\'s memory; one that exists must have it. A new one gets a random one by default' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l quirks -d 'Turn the switches over that this TOML file names (docs/simulator-commands.md)' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l library-managed -d 'Say that the library owns encryption: hide protocol 20h (list), or prevent changes (cfgp)' -r -f -a "off\t'The host'
list\t'The library; protocol 20h is hidden'
cfgp\t'The library; pages answer, changes are prevented'"
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l refuse-spout -d 'End every SECURITY PROTOCOL OUT with this sense: key/asc/ascq in hex' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l seed -d 'Repeat the random numbers that belong to this seed: nonces too, so never for data of any worth' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l control -d 'Where to listen for orders of `sg-sim control`' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l faults -d 'Let go wrong what this script says (docs/simulator-faults.md)' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l trace -d 'Write every command and its answer to this new file, for sg-sim trace; never a key, never a block' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l time -d 'Let loading, winding and streaming take the time of an LTO-8 drive: on the drive\'s own clock alone, or for its clients too' -r -f -a "instant\t'Everything takes no time'
virtual\t'Everything takes its time, and nobody waits for it'
real\t'Everything takes its time'"
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l create -d 'Make the cartridge file if it does not exist'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -l hang -d 'Start with a hung drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -s v -l verbose -d 'Trace every command on standard error, never its data'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l socket -d 'Where QEMU connects' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l library -d 'Library to serve, described in this file: each drive is a target, then the changer' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l cartridge -d 'Cartridge to load; without it the drive starts empty' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l serial -d 'Serial number of the drive, 10 characters' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l barcode -d 'Barcode of the cartridge; one that exists must have it' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l medium-serial -d 'Serial number in the cartridge\'s memory; one that exists must have it. A new one gets a random one by default' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l quirks -d 'Turn the switches over that this TOML file names (docs/simulator-commands.md)' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l library-managed -d 'Say that the library owns encryption: hide protocol 20h (list), or prevent changes (cfgp)' -r -f -a "off\t'The host'
list\t'The library; protocol 20h is hidden'
cfgp\t'The library; pages answer, changes are prevented'"
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l refuse-spout -d 'End every SECURITY PROTOCOL OUT with this sense: key/asc/ascq in hex' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l seed -d 'Repeat the random numbers that belong to this seed: nonces too, so never for data of any worth' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l nexus -d 'Name of the I_T nexus that the guest is' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l control -d 'Where to listen for orders of `sg-sim control`' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l faults -d 'Let go wrong what this script says (docs/simulator-faults.md)' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l trace -d 'Write every command and its answer to this new file, for sg-sim trace; never a key, never a block' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l time -d 'Let loading, winding and streaming take the time of an LTO-8 drive: on the drive\'s own clock alone, or for its clients too' -r -f -a "instant\t'Everything takes no time'
virtual\t'Everything takes its time, and nobody waits for it'
real\t'Everything takes its time'"
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -l create -d 'Make the cartridge file if it does not exist'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -s v -l verbose -d 'Trace every command on standard error, never its data'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand serve-vhost" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l library -d 'Run with the library that this file describes (docs/library.md) instead of one drive: /sim/nst0… and /sim/sg0…, then the changer' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l keep -d 'Keep the cartridges in this folder, and use those that are there. Without it a library\'s cartridges stay where its description says, and the one of a single drive goes when the command ends' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l record -d 'Write every SCSI command and its answer to this new file, one JSON line each, keys masked' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l control -d 'Where to listen for orders of `sg-sim control`' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l faults -d 'Let go wrong what this script says (docs/simulator-faults.md)' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l trace -d 'Write every command and its answer to this new file, for sg-sim trace; never a key, never a block' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l time -d 'Let loading, winding and streaming take the time of an LTO-8 drive: on the drive\'s own clock alone, or for its clients too' -r -f -a "instant\t'Everything takes no time'
virtual\t'Everything takes its time, and nobody waits for it'
real\t'Everything takes its time'"
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -l seed -d 'Repeat the random numbers that belong to this seed: nonces too, so never for data of any worth' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -l control -d 'The control socket' -r -F
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -l unit -d 'The unit that the order is for: a drive by its bay, behind the last one the changer. Without it the first drive; a fault may then strike at any unit' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "status" -d 'What the drive holds and which modes are in force, as JSON'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "hang" -d 'Let SCSI commands wait, or go on'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "library-managed" -d 'Who owns encryption'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "refuse-spout" -d 'End every SECURITY PROTOCOL OUT with a sense'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "transport-error" -d 'End the next commands without SCSI status'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "key-dropped" -d 'The drive loses its key'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "reset" -d 'Reset the drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "nexus-loss" -d 'The drive loses sight of a nexus'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "another-nexus-sets-a-key" -d 'A nexus that nobody here names sets a key for all'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "power-cycle" -d 'Power off and on again'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "load" -d 'Put a cartridge into the empty drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "eject" -d 'Take the cartridge out'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "fault" -d 'Let something go wrong with a command to come'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "clear-faults" -d 'Take every fault back'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "advance" -d 'Let the drive\'s time go on'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and not __fish_seen_subcommand_from status hang library-managed refuse-spout transport-error key-dropped reset nexus-loss another-nexus-sets-a-key power-cycle load eject fault clear-faults advance help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from status" -l nexus -d 'The nexus whose modes to show; default: one without parameters of its own' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from hang" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from library-managed" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from refuse-spout" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from transport-error" -l count -d 'How many commands' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from transport-error" -l executed -d 'Let the drive execute them first'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from transport-error" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from key-dropped" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from nexus-loss" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from another-nexus-sets-a-key" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from power-cycle" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from eject" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from fault" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from clear-faults" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from advance" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "status" -d 'What the drive holds and which modes are in force, as JSON'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "hang" -d 'Let SCSI commands wait, or go on'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "library-managed" -d 'Who owns encryption'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "refuse-spout" -d 'End every SECURITY PROTOCOL OUT with a sense'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "transport-error" -d 'End the next commands without SCSI status'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "key-dropped" -d 'The drive loses its key'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Reset the drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "nexus-loss" -d 'The drive loses sight of a nexus'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "another-nexus-sets-a-key" -d 'A nexus that nobody here names sets a key for all'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "power-cycle" -d 'Power off and on again'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "load" -d 'Put a cartridge into the empty drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "eject" -d 'Take the cartridge out'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "fault" -d 'Let something go wrong with a command to come'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "clear-faults" -d 'Take every fault back'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "advance" -d 'Let the drive\'s time go on'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand create" -l medium-serial -d 'Serial number in the cartridge\'s memory' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand create" -l barcode -d 'Barcode' -r
complete -c sg-sim -n "__fish_sg_sim_using_subcommand create" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand inspect" -l json -d 'Print JSON, every object with its own entry'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand trace" -s f -l follow -d 'Go on as the file grows, until interrupted'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand trace" -s h -l help -d 'Print help'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "serve" -d 'Run a drive or a library on Unix sockets until SIGTERM or SIGINT'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "serve-vhost" -d 'Run a drive or a library for a QEMU guest (vhost-user-scsi) until SIGTERM or SIGINT'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "run" -d 'Run a program that finds a drive at /sim/nst0 (/sim/st0) and /sim/sg0'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "control" -d 'Give a running drive an order, or ask for its status'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "create" -d 'Make a cartridge file with a blank medium'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "inspect" -d 'Say what a cartridge file holds; never changes it'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "trace" -d 'Say in words what a trace file holds'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and not __fish_seen_subcommand_from serve serve-vhost run control create inspect trace help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "status" -d 'What the drive holds and which modes are in force, as JSON'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "hang" -d 'Let SCSI commands wait, or go on'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "library-managed" -d 'Who owns encryption'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "refuse-spout" -d 'End every SECURITY PROTOCOL OUT with a sense'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "transport-error" -d 'End the next commands without SCSI status'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "key-dropped" -d 'The drive loses its key'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "reset" -d 'Reset the drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "nexus-loss" -d 'The drive loses sight of a nexus'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "another-nexus-sets-a-key" -d 'A nexus that nobody here names sets a key for all'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "power-cycle" -d 'Power off and on again'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "load" -d 'Put a cartridge into the empty drive'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "eject" -d 'Take the cartridge out'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "fault" -d 'Let something go wrong with a command to come'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "clear-faults" -d 'Take every fault back'
complete -c sg-sim -n "__fish_sg_sim_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "advance" -d 'Let the drive\'s time go on'
