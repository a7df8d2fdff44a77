# fish completion for memtrace-fs(1)

complete -c memtrace-fs -s l -l listen -x -d 'wait for memtrace there'
complete -c memtrace-fs -s c -l connect -x -a '(__fish_print_hostnames)' -d 'connect to a memtrace that listens'
complete -c memtrace-fs -l no-announce -d 'do not answer searches on the local network'
complete -c memtrace-fs -l interface -x -a '(__fish_print_interfaces)' -d 'answer searches on this interface only'
complete -c memtrace-fs -l report -r -F -d 'print a report with names, and end'
complete -c memtrace-fs -l debuginfod -d 'also ask $DEBUGINFOD_URLS for debug files'
complete -c memtrace-fs -l debug-dir -x -a '(__fish_complete_directories)' -d 'with --fd: also look below DIR'
complete -c memtrace-fs -l fd -x -d 'serve the connection that file descriptor N is'
complete -c memtrace-fs -s v -l verbose -d 'say what is asked, and where names come from'
complete -c memtrace-fs -s h -l help -d 'show a summary of the options'
complete -c memtrace-fs -l version -d 'show the version'
complete -c memtrace-fs -x -a '(__fish_complete_directories)' -d 'programs as they were before they were stripped'
