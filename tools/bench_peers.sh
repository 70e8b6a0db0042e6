#!/bin/sh
# Installs what benchmarks/ can use and PyPI does not have: Boost.Beast and gorilla from Debian, Bun from npm (into
# .nox/peers), strace and valgrind to count with. Whatever of it is not there is left out of a run.
set -eu
cd "$(dirname "$0")/.."
tools/apt_get.sh g++ libboost-dev golang-go golang-github-gorilla-websocket-dev strace valgrind
npm install --prefix .nox/peers --no-audit --no-fund bun@1.4.5
