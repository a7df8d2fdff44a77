# bash completion for memtrace-fs(1)

_memtrace_fs()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local IFS=$' \t\n'

	# "--report=FILE" comes as three words
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--report | --baseline | --suppressions)
		COMPREPLY=($(compgen -f -- "$cur"))
		;;
	--format)
		COMPREPLY=($(compgen -W "text json folded pprof speedscope heaptrack dhat massif gperftools html snapshot junit sarif" -- "$cur"))
		;;
	--sort)
		COMPREPLY=($(compgen -W "verdict bytes blocks allocs growth age rate" -- "$cur"))
		;;
	--fail-on)
		COMPREPLY=($(compgen -W "used blocks growth verdict" -- "$cur"))
		;;
	-l | --listen | -c | --connect | --fd | -n | --count | --error-exitcode | --memory) ;;
	--interface)
		COMPREPLY=($(compgen -W "$(command ls /sys/class/net 2>/dev/null)" -- "$cur"))
		;;
	*)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "-l --listen= -c --connect= --no-announce --interface=
				--report= --format= -n --count= --sort= --all --no-command --no-lines --each --baseline= --fail-on= --strip-prefix= --suppressions=
				--error-exitcode= --debuginfod --debug-dir= --fd= --memory= -v --verbose -h --help
				--version" -- "$cur"))
			[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
		else
			COMPREPLY=($(compgen -d -- "$cur"))
		fi
		;;
	esac
}

complete -o default -F _memtrace_fs memtrace-fs
