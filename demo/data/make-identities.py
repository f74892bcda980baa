#!/usr/bin/env python3
"""Writes identities.json: test identities of every shape, with the Argon2id of their one public
password. Run by hand when the table changes: python3 demo/data/make-identities.py (needs libargon2)."""
import ctypes, hashlib, json, os

PASSWORD = 'essai-2026'
FRANCE = '99100'

def who(login, fr, en, given, family, birthdate, gender, place, country=FRANCE, **more):
    claims = {'given_name': ' '.join(given), 'given_name_array': given, 'family_name': family,
              'birthdate': birthdate, 'gender': gender, 'birthplace': place, 'birthcountry': country}
    refused = more.pop('refused', None)
    if more.pop('email', True):
        claims['email'] = f'{login}@exemple.fr'
    claims.update(more)
    one = {'login': login, 'realm': 'citizens', 'note': {'fr': fr, 'en': en}, 'claims': claims}
    if refused:
        one['refused'] = refused
    return one

TABLE = [
    who('jour.inconnu', 'Jour de naissance inconnu', 'Day of birth unknown',
        ['Amadou'], 'DIALLO', '1961-07-00', 'male', '', '99330'),
    who('mois.inconnu', 'Mois et jour de naissance inconnus', 'Month and day of birth unknown',
        ['Mariam'], 'TRAORÉ', '1948-00-00', 'female', '', '99335'),
    who('nee.etranger', 'Née à l’étranger : pays sans commune', 'Born abroad: a country and no town',
        ['Lucía'], 'FERNÁNDEZ', '1985-03-09', 'female', '', '99134'),
    who('nom.usage', 'Nom d’usage différent du nom de naissance', 'A name in use besides the family name',
        ['Hélène', 'Marie'], 'LAMBERT', '1972-05-21', 'female', '35238', preferred_username='GARNIER'),
    who('homonyme.1', 'Homonyme : mêmes nom, prénom et jour qu’homonyme.2, autre commune',
        'Homonym: same names and day as homonyme.2, another town',
        ['Thomas'], 'DUBOIS', '1990-02-14', 'male', '69381'),
    who('homonyme.2', 'Homonyme : mêmes nom, prénom et jour qu’homonyme.1, autre commune',
        'Homonym: same names and day as homonyme.1, another town',
        ['Thomas'], 'DUBOIS', '1990-02-14', 'male', '13201'),
    who('jumelle.1', 'Jumelle : seul le prénom la distingue de jumelle.2',
        'Twin: only the given name tells her from jumelle.2',
        ['Léa'], 'MOREAU', '1999-11-30', 'female', '31555'),
    who('jumelle.2', 'Jumelle : seul le prénom la distingue de jumelle.1',
        'Twin: only the given name tells her from jumelle.1',
        ['Léo'], 'MOREAU', '1999-11-30', 'female', '31555'),
    who('decedee', 'Personne décédée : le fournisseur refuse la connexion',
        'Deceased: the provider refuses the sign-in',
        ['Odette'], 'PERRIN', '1931-01-08', 'female', '21231', refused='deceased'),
    who('bloquee', 'Compte bloqué : le fournisseur refuse la connexion',
        'Blocked account: the provider refuses the sign-in',
        ['Gérard'], 'FONTAINE', '1966-09-17', 'male', '59350', refused='blocked'),
    who('mineur', 'Mineur : quatorze ans', 'Minor: fourteen years old',
        ['Noé'], 'CHEVALIER', '2012-04-02', 'male', '33063'),
    who('centenaire', 'Née en 1919 : une année qui ne tient pas sur deux chiffres',
        'Born in 1919: a year that does not fit in two digits',
        ['Suzanne'], 'BLANCHARD', '1919-12-25', 'female', '75115'),
    who('noms.longs', 'Noms très longs', 'Very long names',
        ['Marie-Antoinette', 'Joséphine', 'Guillemette', 'Philippine', 'Wilhelmine', 'Bénédicte',
         'Apolline', 'Scholastique', 'Radegonde'],
        'DE LA ROCHEFOUCAULD-LIANCOURT D’ESTISSAC DE MONTMORENCY-LAVAL ET DE SAINT-GERMAIN-DES-PRÉS',
        '1958-08-15', 'female', '16120'),
    who('diacritiques', 'Tous les signes diacritiques', 'Every diacritic',
        ['Àâäçéèêëîïôöùûüÿñæœ', 'Ålesund', 'Žofie', 'Łukasz', 'Ğülşen', 'Ỉ-Nguyễn'],
        'ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸÑÆŒ-ØŠŽŁĞŞẾ', '1983-06-30', 'female', '67482'),
    who('nom.unique', 'Un seul nom : le prénom est un tiret', 'A single name: the given name is a hyphen',
        ['-'], 'SUHARTO', '1977-10-01', 'male', '', '99231'),
    who('sans.genre', 'Genre non indiqué', 'No gender said',
        ['Camille'], 'ROY', '1994-01-19', 'unspecified', '38185'),
    who('nom.court', 'Nom et prénom d’une lettre', 'Names of one letter',
        ['Y'], 'O', '1988-08-08', 'female', '', '99217'),
    who('apostrophe', 'Apostrophe, trait d’union et particule', 'Apostrophe, hyphen and particle',
        ['Jean-Loup', 'Marc’h'], 'LE GUEN-D’ARVOR', '1969-03-03', 'male', '29019'),
    who('corse', 'Né en Corse : le code de commune a une lettre', 'Born in Corsica: the code has a letter',
        ['Ange', 'Toussaint'], 'CASANOVA', '1980-11-01', 'male', '2A004'),
    who('outre.mer', 'Née outre-mer', 'Born overseas',
        ['Marie-Reine'], 'HOARAU', '1992-05-27', 'female', '97411'),
    who('sans.courriel', 'Aucune adresse électronique', 'No e-mail address',
        ['Raymond'], 'GUÉRIN', '1950-02-28', 'male', '87085', email=False),
    who('29.fevrier', 'Née un 29 février', 'Born on a 29 February',
        ['Inès'], 'CARON', '1996-02-29', 'female', '80021'),
]

argon2 = ctypes.CDLL('libargon2.so.1')
SIZE = ctypes.c_size_t

def phc(login):
    salt = hashlib.sha256(login.encode()).digest()[:16]
    out = ctypes.create_string_buffer(200)
    code = argon2.argon2id_hash_encoded(2, 19456, 1, PASSWORD.encode(), SIZE(len(PASSWORD)),
                                        salt, SIZE(16), SIZE(32), out, SIZE(200))
    assert code == 0, code
    return out.value.decode()

for one in TABLE:
    one['password'] = PASSWORD
    one['argon2id'] = phc(one['login'])
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'identities.json')
with open(path, 'w') as f:
    f.write('{"accounts": [\n' + ',\n'.join('  ' + json.dumps(o, ensure_ascii=False) for o in TABLE) + '\n]}\n')
