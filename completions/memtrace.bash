# bash completion for memtrace(1)

_memtrace_program_at()
{
	# Prints the index of PROGRAM among the words, if it is there yet.
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-p | -x | -d | -o | -n | -s | --pid | --command | --duration | --output | --format | \
			--count | --stack-depth | --sort | --engine | --min-size | --sample | --max-overhead | --debug-dir | \
			--error-exitcode | --confirm | --max-pause | --memory | --every | --keep | --min-age | --mark-every | --history | --follow | --cgroup | --unit | --fail-on | --baseline | --suppressions | --action | -c | \
		--connect | -l | --listen)
			[[ ${COMP_WORDS[i + 1]} == "=" ]] && ((i++))
			((i++))
			;;
		-*) ;;
		*)
			echo "$i"
			return
			;;
		esac
	done
}

_memtrace_processes()
{
	# The processes whose number or name begins with the word: the name that all of them have; or,
	# where that is there already, or they have several, numbers with names are shown.
	local dir name found=() names=()
	for dir in /proc/[0-9]*; do
		{ read -r name <"$dir/comm"; } 2>/dev/null || continue
		[[ ${dir#/proc/} == "$1"* || $name == "$1"* ]] && found+=("${dir#/proc/} ($name)") && names+=("$name")
	done
	((${#found[@]} == 1)) && found=("${found[0]%% *}")
	if ((${#found[@]} > 1)) && [[ -n $1 && $1 != [0-9]* && $1 != "${names[0]}" ]]; then
		local other=0
		for name in "${names[@]}"; do [[ $name == "${names[0]}" ]] || other=1; done
		((other)) || found=("$(printf %q "${names[0]}")")
	fi
	COMPREPLY=("${found[@]}")
}

_memtrace()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} program
	local IFS=$' \t\n'

	program=$(_memtrace_program_at)
	if [[ -n $program ]]; then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$program"
		else
			COMPREPLY=($(compgen -f -- "$cur"))
		fi
		return
	fi
	# "--sort=by" comes as three words
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	-p | --pid)
		_memtrace_processes "$cur"
		;;
	-x | --command)
		COMPREPLY=($(compgen -W "help status report tree save export leaks why who block heap history top mark marks diff monitor clear modules threads processes process wait leave quit detach exit" -- "$cur"))
		;;
	-o | --output | --baseline | --suppressions)
		COMPREPLY=($(compgen -f -- "$cur"))
		;;
	--format)
		COMPREPLY=($(compgen -W "text json folded pprof speedscope heaptrack dhat massif gperftools html snapshot" -- "$cur"))
		;;
	--sort)
		COMPREPLY=($(compgen -W "verdict bytes blocks allocs growth age rate" -- "$cur"))
		;;
	--fail-on)
		COMPREPLY=($(compgen -W "used lost blocks growth verdict" -- "$cur"))
		;;
	--engine)
		COMPREPLY=($(compgen -W "trap agent auto" -- "$cur"))
		;;
	--cgroup)
		COMPREPLY=($(cd /sys/fs/cgroup 2>/dev/null && compgen -d -- "$cur"))
		;;
	--debug-dir)
		COMPREPLY=($(compgen -d -- "$cur"))
		;;
	--follow)
		COMPREPLY=($(compgen -c -W "fork exec all none" -- "$cur"))
		;;
	-c | --connect | -l | --listen | -d | --duration | -n | --count | -s | --stack-depth | --error-exitcode | --confirm | --max-pause | --memory | --every | --keep | --min-age | --mark-every | --history | --unit | --min-size | --sample | --max-overhead | --action) ;;
	*)
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "-p --pid= -x --command= -b --batch -d --duration=
				-i --interactive -o --output= --format= -n --count= -s --stack-depth=
				--sort= --follow= --cgroup= --unit= --mmap --stay --clear --all --no-command --no-lines --leaks --confirm= --max-pause= --memory= --every= --keep= --min-age= --mark-every= --history= --fail-on= --baseline= --suppressions= --engine= --min-size= --sample= --max-overhead= -c --connect= -l --listen=
				-a --autoconnect --debug-dir= --debuginfod --no-symbols
				--error-exitcode= --doctor --selftest --action= -v --verbose -q --quiet
				-h --help --version" -- "$cur"))
			[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
		else
			COMPREPLY=($(compgen -c -- "$cur"))
		fi
		;;
	esac
}

complete -o default -F _memtrace memtrace
