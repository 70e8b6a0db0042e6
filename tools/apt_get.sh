#!/bin/sh
# Installs those of the Debian packages named that are missing, as root or by sudo.
set -eu
if dpkg -s "$@" > /dev/null 2>&1; then
    exit
fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
$sudo apt-get -qq update
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
