#!/bin/sh
# deps.sh - the packages that fildrive needs, and how to install them
#
# Sourced by quickstart.sh and tests/run.sh.  Names are Debian 12's; Fedora's
# stand beside them.  Why each library is there: docs/dependencies.md.
#
#   deps_install build [test] [node]   installs what is missing; if nothing
#                                      is, touches neither apt nor network
# shellcheck disable=SC2034 # the lists are read by name

# gcc and meson, the libraries' headers, and fusermount3.
deps_debian_build='gcc libc6-dev meson ninja-build pkg-config fuse3
	libfuse3-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev
	libuv1-dev libb2-dev libssl-dev libzstd-dev libjansson-dev
	libsecp256k1-dev libgmp-dev'
deps_fedora_build='gcc meson ninja-build pkgconf-pkg-config fuse3
	fuse3-devel libsodium-devel sqlite-devel libcurl-devel
	libuv-devel libb2-devel openssl-devel libzstd-devel jansson-devel
	libsecp256k1-devel gmp-devel'

# The suite: frameworks, checkers, and real programs to run on a mount.
deps_debian_test='libcmocka-dev python3 python3-pytest
	clang libclang-rt-dev llvm clang-format-14 clang-tidy cppcheck codespell
	shellcheck acl attr git sqlite3 rsync restic borgbackup fio
	e2fsprogs xfsprogs mandoc zsh systemd'
deps_fedora_test='libcmocka-devel python3 python3-pytest
	clang compiler-rt llvm clang-tools-extra cppcheck codespell
	ShellCheck acl attr git sqlite rsync restic borgbackup fio
	tar gawk diffutils e2fsprogs xfsprogs mandoc zsh systemd'

# For what is written in Node: tests/interop and tests/devnet.
deps_debian_node='nodejs npm ca-certificates'
deps_fedora_node='nodejs npm ca-certificates'

# Prints a command prefix that makes one root, or fails with the reason.
deps_as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		echo env
	elif command -v sudo >/dev/null 2>&1; then
		echo sudo
	else
		echo "packages are missing and this is neither root nor is there" \
			"sudo; as root install:$1" >&2
		return 1
	fi
}

deps_missing_debian() {
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || printf ' %s' "$package"
	done
}

deps_missing_fedora() {
	for package; do
		rpm -q --whatprovides "$package" >/dev/null 2>&1 ||
			printf ' %s' "$package"
	done
}

# A machine that has just started may be updating itself: its lock on the lists
# has no time limit that could be set.
deps_apt_update() {
	for deps_update in 1 2 3 4 5 6; do
		$deps_root apt-get -q -o Acquire::Retries=5 update \
			>"$deps_log" 2>&1 </dev/null && return
		[ "$deps_update" = 6 ] || sleep 10
	done
	return 1
}

# Lists that could not be had are no error to apt, and a mirror may change between
# them and the packages: both once more, before that is given up.  What came stays.
deps_apt_install() {
	for deps_try in 1 2 3; do
		[ "$deps_try" = 1 ] || {
			echo "that failed, trying again"
			sleep 10
		}
		deps_apt_update || return 1
		$deps_root env DEBIAN_FRONTEND=noninteractive apt-get -qy \
			-o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 \
			install --no-install-recommends "$@" \
			>>"$deps_log" 2>&1 </dev/null && return
	done
	return 1
}

# deps_install SET...: the sets are build, test and node.
deps_install() {
	if command -v apt-get >/dev/null 2>&1; then
		deps_kind=debian
	elif command -v dnf >/dev/null 2>&1; then
		deps_kind=fedora
	else
		echo "neither apt-get nor dnf here: install by hand what" \
			"packaging/deps.sh lists, going on" >&2
		return 0
	fi
	deps_wanted=
	for deps_set; do
		eval "deps_wanted=\"\$deps_wanted \$deps_${deps_kind}_$deps_set\""
	done
	# shellcheck disable=SC2086 # a list of names
	deps_gone=$(deps_missing_$deps_kind $deps_wanted)
	[ -n "$deps_gone" ] || return 0

	deps_root=$(deps_as_root "$deps_gone") || return 1
	echo "installing:$deps_gone"
	deps_log=$(mktemp) || return 1
	# shellcheck disable=SC2086
	if [ $deps_kind = debian ]; then
		deps_apt_install $deps_gone
	else
		$deps_root dnf -qy install $deps_gone >"$deps_log" 2>&1 </dev/null
	fi || {
		tail -n 20 "$deps_log" >&2
		rm -f "$deps_log"
		echo "the packages could not be installed (see above): is the" \
			"network there? then run this again" >&2
		return 1
	}
	rm -f "$deps_log"
}
