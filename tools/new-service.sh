#!/bin/sh
# Stamps a service that runs: make new-service NAME=association-grant. A service is declarations on the
# procedures engine; C is needed only where a rule asks for it.
set -eu
name=${1:-}
case "$name" in
'' | *[!a-z0-9-]* | -* | *-) echo "usage: make new-service NAME=lower-case-words" >&2; exit 2 ;;
esac
folder=services/$name
[ -e "$folder" ] && { echo "new-service: $folder is there already" >&2; exit 1; }
mkdir -p "$folder/forms" "$folder/test"
cat > "$folder/service.json" <<JSON
{
  "v": 1,
  "id": "$name",
  "version": 1,
  "org": "ville-de-nantes-demo",
  "title": {"fr": "Démarche « $name »", "en": "Procedure “$name”"},
  "summary": {"fr": "À quoi sert la démarche, en une phrase.", "en": "What the procedure is for, in one sentence."},
  "keywords": {"fr": ["$name"], "en": ["$name"]},
  "audience": {"fr": "Toute personne.", "en": "Anyone."},
  "duration_minutes": 5,
  "needs": [],
  "legal_basis": {"fr": "Le texte qui fonde la démarche, avec son article", "en": "The text the procedure stands on, with its article"},
  "known": [{"label": {"fr": "Votre identité", "en": "Your identity"}, "provider": {"fr": "votre fournisseur d’identité", "en": "your identity provider"}}],
  "help": [{"fr": "Au guichet de la mairie.", "en": "At the town hall’s counter."}],
  "delay_days": 15,
  "scope": "openid profile birth",
  "sources": [],
  "form": "request"
}
JSON
cat > "$folder/forms/request.json" <<'JSON'
{
  "v": 1,
  "steps": [
    {"id": "you", "title": {"fr": "Vous", "en": "You"},
     "fields": [
       {"name": "nom", "type": "text", "label": {"fr": "Nom de naissance", "en": "Birth name"},
        "from": {"claim": "family_name"}, "locked": true},
       {"name": "prenoms", "type": "text", "label": {"fr": "Prénoms", "en": "First names"},
        "from": {"claim": "given_name"}, "locked": true}]},
    {"id": "request", "title": {"fr": "Votre demande", "en": "Your request"},
     "fields": [
       {"name": "demande", "type": "textarea", "label": {"fr": "Ce que vous demandez", "en": "What you ask for"}, "max": 2000}]}
  ]
}
JSON
cat > "$folder/README.md" <<MD
# $name

What it is for, whom it serves, which law it stands on.

- \`service.json\`: title, words people search, who runs it (\`org\`), where data comes from (\`sources\`).
- \`forms/request.json\`: the steps and fields (docs/formats/procedure.md).
- \`test/\`: its integration tests, run by \`make test\`.
MD
echo "$folder is there: make run shows it; docs/formats/procedure.md says what its files may hold."
