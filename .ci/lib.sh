# shellcheck shell=bash
# What the scripts in this folder share. Sourced, never run.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Installs Debian packages, quietly unless that fails.
apt_install() {
  local log
  say "installing $*"
  log=$(mktemp)
  # The lock is waited for because a fresh machine may still be updating itself.
  if ! {
    apt-get -o DPkg::Lock::Timeout=120 update \
      && DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $*"
  fi
  rm -f "$log"
}
