# bash completion for fildrive(1): verbs and options come from its own help

_fildrive_drives() {
	local home=${FILDRIVE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/fildrive}
	local config

	for config in "$home"/*/config; do
		[[ -e $config ]] && basename "$(dirname "$config")"
	done
}

_fildrive_mounts() {
	awk '{ for (i = 7; $i != "-"; i++); if ($(i + 2) ~ /^fildrive:/) print $5 }' \
		/proc/self/mountinfo
}

_fildrive() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')" -- "$cur")
		return
	fi
	case $prev in
	--drive)
		mapfile -t COMPREPLY < <(compgen -W "$(_fildrive_drives)" -- "$cur")
		return
		;;
	--passfile | --new-passfile | --words-out | --words-file)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--store | -s)
		mapfile -t COMPREPLY < <(compgen -d -P dir:// -- "${cur#dir://}")
		compopt -o nospace
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$1" "$verb" --help |
			sed -n 's/^ .*\(--[a-z-]\{1,\}\).*/\1/p')" -- "$cur")
		return
	fi
	case $verb in
	umount) mapfile -t COMPREPLY < <(compgen -W "$(_fildrive_mounts)" -- "$cur") ;;
	help) mapfile -t COMPREPLY < <(compgen -W \
		"$("$1" help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')" -- "$cur") ;;
	config) mapfile -t COMPREPLY < <(compgen -W \
		"$("$1" config 2>/dev/null | awk '{ print $1 }')" -- "$cur") ;;
	mount)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		;;
	esac
}

complete -F _fildrive fildrive
