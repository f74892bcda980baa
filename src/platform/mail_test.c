/* Outgoing mail: addresses, the message, and that what waits lies sealed. */
#include "platform/fixture.h"
#include "platform/mail_inner.h"

static void addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"a@b.fr", "camille.martin+x@ville.example",
                                       "o'neil@a-b.example"};
    static const char *const bad[] = {"",         "a",           "@b.fr",    "a@",       "a@b..fr",
                                      "a b@c.fr", "a@b.fr\r\n",  "a@b@c.fr", ".a@b.fr",  "a.@b.fr",
                                      "a@-b.fr",  "a@[1.2.3.4]", "é@b.fr",   "<a@b.fr>", "a@b.fr."};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!mail_address_ok(str_from(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (mail_address_ok(str_from(bad[i])))
            fail_msg("accepted: %s", bad[i]);
}

static void the_message_keeps_lines_short_and_letters_whole(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    const struct mail m = {
        .to = STR("a@b.fr"),
        .subject = STR("Connexion à votre compte depuis un appareil nouveau : était-ce vous, é ?"),
        .text = STR("Bonjour,\n.\nFin\n")};
    struct str line, rest = mail_message(&a, STR("socle@etat.example"), "ID", 0, &m);
    assert_true(str_find(rest, STR("\r\nFrom: <socle@etat.example>\r\n")) > 0);
    assert_true(str_find(rest, STR("Message-ID: <ID@etat.example>\r\n")) > 0);
    assert_true(str_find(rest, STR("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n")) >= 0);
    while (rest.n && str_split(&rest, '\n', &line)) {
        assert_true(line.n <= 79);
        assert_true(line.n == 0 || line.p[line.n - 1] == '\r');
        for (size_t i = 0; i < line.n; i++)
            assert_true((unsigned char)line.p[i] < 127);
    }
    arena_free(&a);
}

static void what_waits_is_sealed(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    assert_non_null(f);
    f->settings.mail_relay = "smtp://127.0.0.1:9";
    struct ctx *c = fixture_ctx(f, "localhost");
    struct mail m = {.owner = "P1",
                     .to = STR("camille@ville.example"),
                     .subject = STR("Objet"),
                     .text = STR("Texte"),
                     .kind = "t.est"};
    struct mail_sealed s;
    assert_int_equal(mail_seal(c, &m, &s), ERR_OK);
    assert_true(s.data.n > 0);
    assert_int_equal(str_find(s.data, STR("camille")), -1);
    m.subject = STR("Objet\r\nBcc: autre@ville.example");
    assert_int_equal(mail_seal(c, &m, &s), ERR_INVALID);
    m.subject = STR("Objet");
    m.to = STR("camille@ville.example\nx");
    assert_int_equal(mail_seal(c, &m, &s), ERR_INVALID);
    m.to = STR("camille@ville.example");
    f->settings.mail_relay = "";
    assert_int_equal(mail_seal(c, &m, &s), ERR_OK);
    assert_int_equal(s.data.n, 0);
    fixture_ctx_free(c);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(the_message_keeps_lines_short_and_letters_whole),
        cmocka_unit_test(what_waits_is_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
