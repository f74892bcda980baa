#include "core/exchange/entreprise.h"

#include "data/json.h"

static const struct entreprise_error table[GW_CODE_COUNT] = {
    [GW_PATH] = {"00301", "Chemin non valide",
                 "Le chemin ou les paramètres ne sont pas acceptables.", NULL},
    [GW_UPGRADE] = {"00302", "Changement de protocole refusé",
                    "La passerelle ne passe à aucun autre protocole.", NULL},
    [GW_PURPOSE] = {"00201", "Paramètre obligatoire manquant",
                    "Les paramètres context, object et recipient sont obligatoires.", "context"},
    [GW_TOKEN_MISSING] = {"00101", "Jeton absent", "Votre jeton n’est pas renseigné.", NULL},
    [GW_TOKEN_INVALID] = {"00102", "Jeton non valide", "Votre jeton n’est pas valide.", NULL},
    [GW_TOKEN_EXPIRED] = {"00103", "Jeton expiré", "Votre jeton est expiré.", NULL},
    [GW_TOKEN_REVOKED] = {"00104", "Jeton révoqué", "Votre jeton a été révoqué.", NULL},
    [GW_TOKEN_BOUND] = {"00105", "Jeton lié à une clé",
                        "Votre jeton doit être présenté avec sa clé ou son certificat.", NULL},
    [GW_PROOF] = {"00106", "Preuve DPoP non valide", "La preuve ne correspond pas à cet appel.",
                  NULL},
    [GW_SIGNATURE] = {"00107", "Signature de la requête non valide",
                      "Votre contrat demande des requêtes signées (RFC 9421).", NULL},
    [GW_CLEAR] = {"00108", "Appel en clair",
                  "Cette passerelle ne répond qu’en TLS : faites révoquer ce jeton.", NULL},
    [GW_SCOPE] = {"00100", "Privilèges insuffisants", "Votre jeton ne donne pas accès à cette API.",
                  NULL},
    [GW_CONTRACT] = {"00110", "Contrat non actif",
                     "Votre contrat est suspendu, terminé ou pas encore commencé.", NULL},
    [GW_CONSENT] = {"00111", "Accord de la personne manquant",
                    "La personne n’a pas donné son accord, ou l’a retiré.", NULL},
    [GW_RECIPIENT] = {"00203", "Destinataire non prévu",
                      "Le paramètre recipient doit être un destinataire du contrat.", "recipient"},
    [GW_ROUTE] = {"00404", "API inconnue", "Cette API ou cette version n’existe pas.", NULL},
    [GW_NO_DATA] = {"90003", "Entité non trouvée",
                    "Le fournisseur ne connaît pas ce qui est demandé.", NULL},
    [GW_METHOD] = {"00405", "Méthode non ouverte", "Cette méthode n’est pas ouverte sur cette API.",
                   NULL},
    [GW_BODY] = {"00413", "Requête trop grande", "Le corps de la requête dépasse 1 Mo.", NULL},
    [GW_FIELD] = {"00303", "Paramètre non valide",
                  "La requête n’est pas conforme à la description de l’API.", NULL},
    [GW_REQUEST] = {"90004", "Requête refusée par le fournisseur",
                    "Le fournisseur n’accepte pas le contenu de la requête.", NULL},
    [GW_QUOTA] = {"00429", "Trop de requêtes",
                  "Vous avez atteint votre nombre d’appels par minute.", NULL},
    [GW_SHARE] = {"00430", "Trop de requêtes en même temps",
                  "Votre part de ce fournisseur est en cours d’utilisation.", NULL},
    [GW_TOKEN_FLOOD] = {"00431", "Trop de jetons non valides",
                        "Trop de jetons non valides viennent de votre adresse.", NULL},
    [GW_PROVIDER] = {"90000", "Erreur du fournisseur",
                     "La réponse du fournisseur est une erreur ou n’est pas lisible.", NULL},
    [GW_PROVIDER_FORM] = {"90001", "Réponse du fournisseur non conforme",
                          "La réponse du fournisseur n’est pas celle qui est convenue.", NULL},
    [GW_STALE] = {"00501", "Passerelle en attente",
                  "La passerelle n’a pas pu confirmer sa configuration.", NULL},
    [GW_JOURNAL] = {"00502", "Journal indisponible",
                    "Aucune donnée ne sort sans être inscrite au journal.", NULL},
    [GW_PROVIDER_DOWN] = {"90005", "Fournisseur injoignable",
                          "La connexion au fournisseur n’a pas pu être établie.", NULL},
    [GW_BUSY] = {"00503", "Passerelle chargée", "Trop d’appels en même temps.", NULL},
    [GW_BREAKER] = {"90006", "Fournisseur ménagé",
                    "Le fournisseur est en difficulté : il n’est pas appelé pour le moment.", NULL},
    [GW_LIMIT] = {"90007", "Limite du fournisseur atteinte", "Le fournisseur demande une pause.",
                  NULL},
    [GW_PROVIDER_SLOW] = {"90002", "Temps d’attente dépassé",
                          "Le fournisseur n’a pas répondu à temps.", NULL},
};

const struct entreprise_error *entreprise_error(enum gw_code code)
{
    static const struct entreprise_error other = {"00999", "Refus",
                                                  "La passerelle refuse cet appel.", NULL};
    return code < GW_CODE_COUNT && table[code].code ? &table[code] : &other;
}

void entreprise_write(struct buf *out, const struct gw_problem *p, unsigned retry_s,
                      const char *parameter)
{
    const struct entreprise_error *e = entreprise_error(p->code);
    const char *lacks = parameter ? parameter : e->parameter;
    struct jw w;
    jw_start(&w, out);
    jw_obj(&w);
    jw_key(&w, "errors");
    jw_arr(&w);
    jw_obj(&w);
    jw_kz(&w, "code", e->code);
    jw_kz(&w, "title", e->title);
    jw_kz(&w, "detail", e->detail);
    jw_key(&w, "source");
    if (lacks) {
        jw_obj(&w);
        jw_kz(&w, "parameter", lacks);
        jw_end(&w);
    } else {
        jw_null(&w);
    }
    jw_key(&w, "meta");
    jw_obj(&w);
    jw_key(&w, "provider");
    if (p->provider.n)
        jw_str(&w, p->provider);
    else
        jw_null(&w);
    jw_key(&w, "retry_in");
    if (retry_s)
        jw_i64(&w, retry_s);
    else
        jw_null(&w);
    jw_kstr(&w, "trace", p->trace_id);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
}
