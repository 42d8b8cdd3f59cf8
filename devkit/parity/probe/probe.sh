# Says what a training container finds, as lines "devkit-parity SUBJECT HEX", and fails on purpose.
# Nothing but what POSIX has, so that any image with a shell can run it. Values of variables that
# look like secrets are not said.

emit() {
    { od -An -v -tx1 | tr -d ' \n'; echo; } | fold -w 1000 | sed "s|^|devkit-parity $1 |"
}

say() {
    printf '%s' "$2" | emit "$1"
}

environ() {
    if [ -r "/proc/$$/environ" ]; then
        tr '\0' '\n' < "/proc/$$/environ"
    else
        env
    fi
}

environment() {
    for name in $(environ | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
        case $name in
            *KEY* | *SECRET* | *TOKEN* | *PASSWORD* | *CREDENTIAL*) value='(not shown)' ;;
            *) eval "value=\${$name-}" ;;
        esac
        printf '%s=%s\0' "$name" "$value"
    done
}

folders() {
    find /opt/ml -path '/opt/ml/input/data/*/*' -prune -o -type d -print | sort |
        while IFS= read -r folder; do
            if [ -w "$folder" ]; then echo "writable $folder"; else echo "read-only $folder"; fi
        done
}

files() {
    find /opt/ml/input/data -path /opt/ml/input/data/devkit-parity -prune -o -type f -print |
        sort | head -n 1000 |
        while IFS= read -r file; do echo "$(wc -c < "$file" | tr -d ' ') $file"; done
}

shared_memory() {
    df -kP /dev/shm 2> /dev/null | tail -n 1 | { read -r _ kilobytes _ && echo "$kilobytes kB"; }
}

terminal=no
[ -t 1 ] && terminal=yes
say arguments "$*"
say user "$(id -u):$(id -g)"
say working_directory "$(pwd)"
say process_id "$$"
say hostname "$(hostname 2> /dev/null || uname -n)"
say system "$(uname -s) $(uname -m)"
say shared_memory "$(shared_memory)"
say file_mask "$(umask)"
say terminal "$terminal"
environment | emit environment
folders | emit folders
files | emit files
for file in /opt/ml/input/config/*; do
    emit "config/${file##*/}" < "$file"
done
say end end

printf 'devkit parity fails on purpose' > /opt/ml/output/failure
exit 37
