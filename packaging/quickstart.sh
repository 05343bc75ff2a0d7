#!/bin/sh
# quickstart.sh MOUNTPOINT - from a fresh clone to a mounted drive
#
# Installs the packages that are missing (apt or dnf; needs root or sudo), builds
# fildrive in build/, makes a drive named "default" if there is none, and mounts
# it at MOUNTPOINT.  A second run does no harm.  It asks for a passphrase on the
# terminal, and shows 24 recovery words once: write them down.
#
#   FILDRIVE_STORE      where the copies go: dir:///media/usb (a USB stick or NFS
#                       share). Default: the folder fildrive-store in your home.
#                       It counts only when the drive is made.
#   FILDRIVE_PASSFILE   a file with the passphrase in its first line, for scripts
#   FILDRIVE_WORDS_OUT  a file to write the recovery words to (mode 0600)
#   FILDRIVE_HOME       where drives live, instead of ~/.local/share/fildrive
#   FILDRIVE_NO_DEPS    install nothing
set -u

root=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/deps.sh"

die() {
	echo "quickstart: $*" >&2
	exit 1
}

case ${1:-} in
-h | --help)
	sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0"
	exit 0
	;;
-*) die "unknown option $1, see --help" ;;
'') die "where to mount? usage: packaging/quickstart.sh MOUNTPOINT" ;;
esac
[ $# -eq 1 ] || die "one mountpoint only, see --help"

case $1 in
/*) mountpoint=$1 ;;
*) mountpoint=$PWD/$1 ;;
esac
fildrive=$root/build/src/daemon/fildrive
if [ -z "${HOME:-}" ]; then
	HOME=$(getent passwd "$(id -u)" | cut -d : -f 6)
	[ -n "$HOME" ] || die "HOME is not set, and who runs this has no home folder"
	export HOME
fi
drives=${FILDRIVE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/fildrive}
store=${FILDRIVE_STORE:-dir://$HOME/fildrive-store}

# The kind of file system mounted at $1, if any.
mounted_there() {
	awk -v want="$1" '
	BEGIN { gsub(/\\/, "\\134", want); gsub(/ /, "\\040", want)
		gsub(/\t/, "\\011", want); gsub(/\n/, "\\012", want) }
	$5 == want { for (i = 7; $i != "-"; i++); print $(i + 1) }' \
		/proc/self/mountinfo | tail -n 1
}

# Whoever is mounted there already needs nothing of what follows.
if resolved=$(realpath -m -- "$mountpoint" 2>/dev/null); then
	mountpoint=$resolved
fi
kind=$(mounted_there "$mountpoint")
case $kind in
'') ;;
fuse.fildrive)
	if ! stat -- "$mountpoint" >/dev/null 2>&1; then
		# A daemon that was killed leaves a mount that answers nothing.
		fusermount3 -uz -- "$mountpoint" ||
			die "a dead mount is at $mountpoint: umount -l it as root"
	else
		echo "A drive is mounted at $mountpoint already; nothing to do."
		exit 0
	fi
	;;
*) die "$mountpoint has a $kind mounted on it: choose an empty folder" ;;
esac

if [ -z "${FILDRIVE_NO_DEPS:-}" ]; then
	deps_install build || exit 1
fi
[ -c /dev/fuse ] ||
	die "there is no /dev/fuse: load it with 'modprobe fuse' as root" \
		"(in a container: start it with --device /dev/fuse)"

cd "$root" || exit 1
log=$root/build/quickstart.log
mkdir -p build || die "cannot write to $root/build: whose clone is this?"
if [ ! -f build/build.ninja ]; then
	meson setup --buildtype=release -Dtests=false build >"$log" 2>&1 || {
		tail -n 15 "$log" >&2
		die "meson setup failed, see above and $log"
	}
fi
echo "building"
ninja -C build >"$log" 2>&1 || {
	tail -n 25 "$log" >&2
	die "the build failed, see above and $log"
}
[ -x "$fildrive" ] || die "the build made no $fildrive"

if [ ! -e "$drives/default/keys" ]; then
	echo "making the drive \"default\" in $drives"
	if [ -z "${FILDRIVE_STORE:-}" ]; then
		mkdir -p "${store#dir://}" ||
			die "cannot make the folder ${store#dir://}"
	else
		# Not made here: under a stick that is not plugged in it would be
		# one more folder of this disk.
		case $store in
		dir://*) [ -d "${store#dir://}" ] ||
			die "there is no folder ${store#dir://}: is the stick" \
				"plugged in? (a new folder: make it first)" ;;
		esac
	fi
	"$fildrive" init --drive default --store "$store" || exit 1
	cat <<-END

		Its encrypted copies go to $store
	END
	[ -n "${FILDRIVE_STORE:-}" ] || cat <<-END
		That folder is on this machine: it brings the drive back when
		$drives is lost, but not when this disk is. To
		have the copies on a USB stick instead, start over with
		FILDRIVE_STORE=dir:///media/usb
	END
	echo
fi

mkdir -p -- "$mountpoint" || die "cannot make the folder $mountpoint"
[ -z "$(ls -A -- "$mountpoint")" ] ||
	die "$mountpoint is not empty: choose an empty folder"
"$fildrive" mount --drive default "$mountpoint" || exit 1

cat <<END
Mounted at $mountpoint. Use it like any folder; copies are made in the background.
  see what is safe where   $fildrive status
  wait until all is        $fildrive sync --wait
  unmount                  $fildrive umount $mountpoint
  mount it again           $0 $mountpoint
  on a bare machine        $fildrive recover --store STORE --words-file FILE
END
