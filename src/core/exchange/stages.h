/* Where each stage of the gateway is, for `socle explain`: a file marks its own with STAGE_AT on
 * the line before the function, so that no list of lines grows stale. */
#ifndef EXCHANGE_STAGES_H
#define EXCHANGE_STAGES_H

struct stage_at {
    const char *file;
    int line;
};
#define STAGE_AT(name) const struct stage_at gateway_at_##name = {__FILE__, __LINE__ + 1}
extern const struct stage_at gateway_at_admit, gateway_at_token, gateway_at_decide,
    gateway_at_purpose, gateway_at_quota, gateway_at_body, gateway_at_decision, gateway_at_upstream,
    gateway_at_wait, gateway_at_filter, gateway_at_outcome, gateway_at_proof, gateway_at_health,
    gateway_at_signature, gateway_at_request, gateway_at_cache;

#endif
