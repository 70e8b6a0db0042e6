#!/usr/bin/env bash
# A free-threaded CPython: FOLDER/python is one afterwards. What is there already is used again.
#
#     tools/free_threaded_python.sh FOLDER [OPTION OF CONFIGURE ...]
#
# python3.14t or python3.13t of this machine, if there is one. Else it is built, in some minutes, from the source of
# Debian's ordinary python3.13, since Debian has no package of a free-threaded one: needs apt-get and the keys of
# Debian's archive, a C compiler, make, and headers (libssl-dev, libffi-dev, zlib1g-dev). It needs no root and leaves the
# system alone: apt has lists of its own below FOLDER.
#
# For ThreadSanitizer, which looks into the extension modules that are built with it, too:
#     CC=clang tools/free_threaded_python.sh FOLDER --with-thread-sanitizer
set -euo pipefail

suite=trixie
package=python3.13
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift

works() {
    [ -x "$folder/python" ] && "$folder/python" -c 'import ctypes, ssl, sys, zlib; sys.exit(sys._is_gil_enabled())'
}

give_up() {
    echo "There is no free-threaded CPython here and none can be built: $*" >&2
    exit 1
}

works && exit
if [ $# = 0 ]; then
    for name in python3.14t python3.13t; do
        if found=$(command -v $name); then
            ln -sf "$found" "$folder/python"
            works && exit
        fi
    done
fi

command -v apt-get > /dev/null || give_up "this is no Debian (no apt-get). Put python3.14t on the PATH."
[ -r $keys ] || give_up "$keys is missing (package debian-archive-keyring)."
rm -rf "$folder/apt" "$folder/source" "$folder/python"
mkdir -p "$folder"/apt/{lists,archives}/partial "$folder/source"
touch "$folder/apt/status"
echo "deb-src [signed-by=$keys] $mirror $suite main" > "$folder/apt/sources.list"
options=(-qq -o "Dir::State=$folder/apt" -o "Dir::State::Lists=$folder/apt/lists"
    -o "Dir::State::status=$folder/apt/status" -o "Dir::Cache=$folder/apt"
    -o "APT::Sandbox::User=$(id -un)" -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=-)

cd "$folder/source"
apt-get "${options[@]}" update || give_up "$mirror does not answer."
apt-get "${options[@]}" source --download-only $package || give_up "$mirror does not give the source of $package."
tar -xf ./*.orig.tar.xz --strip-components=1
log="$folder/build.log"
echo "building $(ls ./*.dsc) without the GIL; $log grows meanwhile" >&2
{
    ./configure --disable-gil --disable-test-modules "--prefix=$folder" "$@" &&
        make "-j$(nproc)" && make install
} > "$log" 2>&1 || give_up "the build has failed, see $log"
cd /
rm -rf "$folder/source" "$folder/apt"
ln -s "$folder"/bin/python3.*t "$folder/python"
works || give_up "what was built has a GIL, or lacks ctypes, ssl or zlib, see $log"
