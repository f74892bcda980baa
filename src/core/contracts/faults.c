#include "core/contracts/contracts.h"

#define M "contracts"
const struct fault contracts_fault_state = {"CTR-409-STATE", 409, M, "Not Possible In This State"};
const struct fault contracts_fault_revision = {"CTR-409-REVISION", 409, M, "Changed Meanwhile"};
const struct fault contracts_fault_fields = {"CTR-422-TERMS", 422, M, "Terms Missing Or Wrong"};
const struct fault contracts_fault_words = {"CTR-422-WORDS", 422, M, "A Reason Is Needed"};
const struct fault contracts_fault_level = {"CTR-403-LEVEL", 403, M, "Substantial Sign-in Needed"};
const struct fault contracts_fault_signature = {"CTR-409-SIGNATURE", 409, M, "Signature Missing"};
const struct fault contracts_fault_key = {"CTR-422-KEY", 422, M, "Key Not Acceptable"};
const struct fault contracts_fault_jws = {"CTR-422-JWS", 422, M, "Signature Not Valid"};
const struct fault contracts_fault_api = {"CTR-404-API", 404, M, "No Such API"};
const struct fault contracts_fault_report = {"CTR-409-REPORT", 409, M, "Usage Report Overdue"};
const struct fault contracts_fault_hook = {"CTR-401-HOOK", 401, M, "Webhook Not Authenticated"};
const struct fault contracts_fault_vendor = {"CTR-422-VENDOR", 422, M, "Delegation Not Acceptable"};
const struct fault contracts_fault_role = {"CTR-403-SIDE", 403, M, "Not This Side's Act"};
