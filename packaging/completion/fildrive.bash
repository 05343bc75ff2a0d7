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

# The keys of the config of the drive that this line names, or of the default one.
_fildrive_keys() {
	local i drive=

	for ((i = 2; i < COMP_CWORD - 1; i++)); do
		[[ ${COMP_WORDS[i]} == --drive ]] && drive=${COMP_WORDS[i + 1]}
	done
	"$1" config ${drive:+--drive "$drive"} 2>/dev/null |
		awk '{ print $1 }' | sort -u
}

_fildrive() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$1" help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')" -- "$cur")
		return
	fi
	# Bash breaks a word at a colon: dir, :, ///path.
	if [[ $prev == : && ${COMP_WORDS[COMP_CWORD - 2]} == dir ]]; then
		mapfile -t COMPREPLY < <(compgen -d -S / -P // -- "${cur#//}")
		compopt -o nospace
		return
	fi
	if [[ $prev == : && ${COMP_WORDS[COMP_CWORD - 2]} == filecoin ]]; then
		mapfile -t COMPREPLY < <(compgen -W "//mainnet //calibration" -- "$cur")
		compopt -o nospace
		return
	fi
	case $verb$prev in
	init--store | init-s | recover--store | recover-s)
		mapfile -t COMPREPLY < <(compgen -W \
			"dir:/// filecoin://mainnet filecoin://calibration" -- "$cur")
		compopt -o nospace
		return
		;;
	mount-o | mount--options) return ;;
	publish-o | recover-w) prev=--words-out ;;
	esac
	case $prev in
	--drive)
		mapfile -t COMPREPLY < <(compgen -W "$(_fildrive_drives)" -- "$cur")
		return
		;;
	--passfile | --new-passfile | --words-out | --words-file | --output)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
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
	wallet) mapfile -t COMPREPLY < <(compgen -W \
		"fund withdraw session history export import renew revoke all" -- "$cur") ;;
	quote)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	help) mapfile -t COMPREPLY < <(compgen -W \
		"$("$1" help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')" -- "$cur") ;;
	config) mapfile -t COMPREPLY < <(compgen -W "$(_fildrive_keys "$1")" -- "$cur") ;;
	mount)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		;;
	publish)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
}

complete -F _fildrive fildrive
