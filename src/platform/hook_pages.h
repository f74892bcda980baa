/* Webhooks as an organisation sets them (hook.h): routes of the platform. */
#ifndef PLATFORM_HOOK_PAGES_H
#define PLATFORM_HOOK_PAGES_H

#include "platform/ctx.h"

route_handler hook_page, hook_page_post, hook_page_replay, hook_page_mail, hook_api_mail,
    hook_api_mail_set;
route_handler hook_api_get, hook_api_set, hook_api_deliveries, hook_api_replay;

#endif
