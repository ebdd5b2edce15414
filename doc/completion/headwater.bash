# Bash completion of headwater. Made from the program by tools/manuals; do not edit.

_headwater()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words= flags= tables=no
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "serve tail table item key log doctor describe-operations help --help --version" -- "$current"))
        return
    fi
    case ${COMP_WORDS[1]} in
    help) words="serve tail table item key log doctor describe-operations" ;;
    serve) words="" flags="--allow-plaintext --auth --cache-bytes --chat-origins --config --connections-max --cors-origin --credentials --data --flush-bytes --head-timeout-ms --idle-timeout-ms --listen --log-budget --log-level --loops --master-key --memory-bytes --memtable-bytes --online --peer-connections-max --ping-ms --read-workers --region --retention-ms --scrub-bytes-per-second --scrub-interval-ms --segment-bytes --tail-bytes --throttle-bytes --tls-cert --tls-key --tls-renew-ms --unsent-bytes-max" tables=no ;;
    tail) words="" flags="--count --credentials --data --endpoint --events --filter --from --names --region --values" tables=yes ;;
    table) words="create delete describe list" flags="--credentials --data --endpoint --key --region --stream" tables=yes ;;
    item) words="delete get put query scan" flags="--credentials --data --endpoint --filter --from --if --key --limit --names --region --values" tables=yes ;;
    key) words="create delete disable enable list policy" flags="--credentials --data --endpoint --policy --region" tables=no ;;
    log) words="dump verify" flags="--bytes-per-second --credentials --data --endpoint --online --region --scrub-bytes-per-second" tables=no ;;
    doctor) words="" flags="--data" tables=no ;;
    describe-operations) words="" flags="--help" tables=no ;;
    *) return ;;
    esac
    case $previous in
    --data | --config | --credentials) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    case "${COMP_WORDS[1]} $previous" in
    "serve --auth") COMPREPLY=($(compgen -W "sigv4 none" -- "$current")); return ;;
    "serve --log-level") COMPREPLY=($(compgen -W "debug info warn error" -- "$current")); return ;;
    "tail --events") COMPREPLY=($(compgen -W "INSERT MODIFY REMOVE" -- "$current")); return ;;
    "table --stream") COMPREPLY=($(compgen -W "KEYS_ONLY NEW_IMAGE OLD_IMAGE NEW_AND_OLD_IMAGES" -- "$current")); return ;;
    "item --from") COMPREPLY=($(compgen -W "start end" -- "$current")); return ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$current"))
    elif [ "$COMP_CWORD" = 2 ] && [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    elif [ "$tables" = yes ] && [ "$COMP_CWORD" -le 3 ]; then
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" table list 2>/dev/null | tr -d '"')" -- "$current"))
    fi
}
complete -o default -F _headwater headwater
