"""What the titles and the words of other services' lists mean, and which of them smell of consent.

A title that we know has a field. One that we do not know smells where a root of it, in the languages of our readers,
speaks of consent, of confirming, of leaving or of an address that gets no mail.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from digest.models import SubscriptionState
from digest.subscribe.sheet import EMAIL_TITLES, without_hint

ACTIVE, PENDING = SubscriptionState.ACTIVE, SubscriptionState.PENDING
PAUSED, LEFT = SubscriptionState.PAUSED, SubscriptionState.UNSUBSCRIBED
NOTHING = ""  # a row that only says that an address gets no letters

# Titles, in small letters and without anything but letters and digits.
TITLES: dict[str, tuple[str, ...]] = {
    "email": EMAIL_TITLES,
    "name": ("name", "fullname", "displayname", "subscribername", "имя", "nom", "nome", "naam", "nazwa", "姓名", "名前",
             "氏名", "이름", "성명", "שם", "الاسم", "név", "imięinazwisko", "имяифамилия", "adsoyad", "isim", "όνομα",
             "navn", "namn", "nimi"),
    "first_name": ("firstname", "fname", "givenname", "vorname", "prenom", "prénom", "nombre", "voornaam", "imię",
                   "imie", "förnamn", "jméno", "名", "ad", "fornavn", "etunimi", "keresztnév", "prenume", "ime", "імя"),
    "last_name": ("lastname", "lname", "surname", "familyname", "nachname", "apellido", "apellidos", "cognome",
                  "achternaam", "nazwisko", "фамилия", "efternamn", "příjmení", "姓", "soyad",
                  "etternavn", "efternavn", "sukunimi", "vezetéknév", "priezvisko",
                  "prezime", "прізвище"),
    "state": ("state", "status", "subscriptionstatus", "subscriberstatus", "emailstatus", "subscribed",
              "subscribedtoemails", "optin", "emailmarketingconsent", "acceptsemailmarketing", "acceptsmarketing",
              "marketingconsent", "emailconsent", "consent", "deliverystatus", "emailmarketingstatus",
              "emailmarketing"),
    "topics": ("topics",),
    "cadence": ("cadence",),
    "hour": ("hour",),
    "zone": ("zone", "timezone"),
    "language": ("language", "locale", "sprache", "langue", "idioma", "lingua"),
    "format": ("format",),
    "max_stories": ("maxstories",),
    "muted_words": ("mutedwords",),
    "muted_sources": ("mutedsources",),
    "muted_topics": ("mutedtopics",),
    "story_languages": ("storylanguages",),
    "more_of": ("moreof",),
    "less_of": ("lessof",),
    "tags": ("tags", "labels", "tag"),
    "since": ("subscribedat", "confirmtime", "optintime", "createdat", "creationdate", "startdate", "subscribedate",
              "subscriptiondate", "dateadded", "dateadd", "addedtime", "datejoined", "joined", "entered", "created"),
    "left_at": ("left", "lefton", "leftthelist", "quit", "quitdate", "exit", "exitdate",
                "unsubscribedat", "unsubtime", "unsubscribedate", "optouttime", "deletedat", "unsubscribed", "optedout",
                "optout"),
    "blocked": ("suppressed", "suppressedat", "blacklisted", "blocklisted", "bounced", "complained", "bouncedat",
                "emailblacklisted", "blacklist", "blocklist"),
    "confirmed": ("confirmed", "isconfirmed", "confirmedat", "verified", "emailverified"),
    "ip": ("confirmip", "optinip", "ipaddress", "ip"),
    "fields": ("fields", "attributes", "data", "metadata"),
    "paused_until": ("pauseduntil",),
    "changed_at": ("changedat", "cleantime"),
    "suppressed_status": ("suppressedstatus",),
}  # fmt: skip
MAPPABLE = tuple(TITLES)[: list(TITLES).index("fields") + 1]
STATES = ("state", "left_at", "blocked", "confirmed")  # the fields that speak of the state

BOUNCED, COMPLAINED, BLOCKED = "bounced", "complained", "blocklisted"
ASKED = "asked"  # a kind of title that is never understood: what a yes means in it is for the operator to say
YES = frozenset(
    ("true", "yes", "1", "y", "on", "ja", "wahr", "oui", "vrai", "si", "sí", "sì", "sim", "verdadero", "vero", "waar",
     "verdadeiro", "tak", "да", "так", "ano", "evet", "はい", "是", "예", "有", "kyllä", "1.0",
     "истина", "prawda", "pravda", "sann", "sant", "sand", "tosi", "igaz", "doğru", "adevărat", "αληθες", "αληθής",
     "igen", "da", "ναι", "כן", "نعم", "네", "可", "同意", "granted", "given", "✓", "✔", "✔️", "✅", "☑", "☑️")
)  # fmt: skip
TICKS = YES | {"x", "checked", "t"}  # in a column for one thing
NO = frozenset(
    ("false", "no", "0", "n", "off", "✗", "✘", "❌", "☐", "✖", "nei", "nem", "nu", "όχι", "לא", "لا", "아니오", "不可",
     "denied", "not-given", "not-granted", "unchecked", "nein", "falsch", "non", "faux", "não", "nao", "falso",
     "nee", "onwaar", "nie", "нет", "ні", "ne", "nej", "hayır", "hayir", "いいえ", "否", "不", "아니요", "無", "ei",
     "ложь", "fałsz", "falsz", "nepravda", "falskt", "usann", "usant", "falsk", "epätosi", "hamis", "yanliş", "yanlış",
     "fals", "ψευδες", "ψευδής", "0.0")
)  # fmt: skip
_WHO = ("admin", "administrator", "owner", "user", "subscriber", "contact", "recipient", "sender", "customer")
# What a word says: a state, or why the address gets no letters at all.
WORDS: dict[str, SubscriptionState | str] = {
    **dict.fromkeys(("active", "subscribed", "enabled", "confirmed"), ACTIVE),
    **dict.fromkeys(("regular", "premium", "gifted", "trialed"), ACTIVE),
    **dict.fromkeys(("opted-in", "optin", "opt-in"), ACTIVE),
    **dict.fromkeys(("single-opt-in", "confirmed-opt-in", "subscribe", "approved"), ACTIVE),
    **dict.fromkeys(("aktiv", "angemeldet", "abonniert", "actif"), ACTIVE),
    **dict.fromkeys(("inscrit", "abonné", "activo", "suscrito", "attivo"), ACTIVE),
    **dict.fromkeys(("iscritto", "ativo", "inscrito", "actief", "aangemeld", "aktywny", "subskrybowany"), ACTIVE),
    **dict.fromkeys(("активен", "активный", "подписан", "prenumererar"), ACTIVE),
    **dict.fromkeys(("aktif", "abone", "有効", "購読中", "已订阅"), ACTIVE),
    **dict.fromkeys(("inscrite", "abonnée", "activa", "suscrita", "alta", "de-alta", "attiva"), ACTIVE),
    **dict.fromkeys(("iscritta", "ativa", "inscrita", "ingeschreven", "geabonneerd", "aktywna", "zapisany"), ACTIVE),
    **dict.fromkeys(("zapisana", "subskrybuje", "bestätigt", "eingetragen", "confirmé", "confirmado"), ACTIVE),
    **dict.fromkeys(("confermato", "bevestigd", "potwierdzony", "подписана", "подтвержден", "подтверждён"), ACTIVE),
    **dict.fromkeys(("підписаний", "підписався", "tilmeldt", "påmeldt", "prenumerant", "přihlášen"), ACTIVE),
    **dict.fromkeys(("přihlášený", "feliratkozott", "feliratkozva", "abonat", "tilaaja", "εγγεγραμμένος"), ACTIVE),
    **dict.fromkeys(("配信中", "購読", "已訂閱", "已确认", "已確認"), ACTIVE),
    **dict.fromkeys(("구독중", "구독", "פעיל", "רשום", "نشط", "مشترك"), ACTIVE),
    **dict.fromkeys(("pending", "unconfirmed", "unactivated"), PENDING),
    **dict.fromkeys(("non-subscribed", "nonsubscribed", "not-confirmed"), PENDING),
    **dict.fromkeys(("never-subscribed", "not-subscribed", "unverified"), PENDING),
    **dict.fromkeys(("awaiting-confirmation", "waiting", "new"), PENDING),
    **dict.fromkeys(("unbestätigt", "ausstehend", "en-attente", "neu", "wartend", "nicht-bestätigt"), PENDING),
    **dict.fromkeys(("nouveau", "nuevo", "nuovo", "novo", "nieuw", "nowy", "новый", "未承認"), PENDING),
    **dict.fromkeys(("non-confirmé", "pendiente", "in-attesa", "pendente"), PENDING),
    **dict.fromkeys(("niepotwierdzony", "ожидает", "не-подтвержден", "未確認", "未确认", "validating"), PENDING),
    **dict.fromkeys(("paused", "by-user", "by-moderator", "temporary-hold", "temp-hold"), PAUSED),
    **dict.fromkeys(("unsubscribed", "unsubscribe", "unsub", "unsubbed"), LEFT),
    **dict.fromkeys(("do-not-contact", "do-not-email", "do-not-mail", "dnc", "optedout"), LEFT),
    **dict.fromkeys(("left", "optout", "opted-out", "opt-out", "un-subscribed"), LEFT),
    **{f"{gone}-by-{who}": LEFT for gone in ("unsubscribed", "removed", "deleted", "opted-out") for who in _WHO},
    **dict.fromkeys(("cancelled", "canceled", "disabled", "removed"), LEFT),
    **dict.fromkeys(("deleted", "archived", "inactive", "redacted"), LEFT),
    **dict.fromkeys(("abgemeldet", "gekündigt", "ausgetragen", "inaktiv", "désabonné", "désinscrit", "inactif"), LEFT),
    **dict.fromkeys(("baja", "cancelado", "inactivo", "dado-de-baja", "disiscritto", "cancellato", "inattivo"), LEFT),
    **dict.fromkeys(("descadastrado", "inativo", "afgemeld"), LEFT),
    **dict.fromkeys(("uitgeschreven", "inactief", "wypisany", "nieaktywny"), LEFT),
    **dict.fromkeys(("отписан", "отписался", "неактивен", "avregistrerad", "avslutad", "pasif", "ayrıldı"), LEFT),
    **dict.fromkeys(("無効", "解除", "退会", "退订"), LEFT),
    **dict.fromkeys(("已退订", "odhlášen", "not-opted-in", "revoked", "withdrawn"), LEFT),
    **dict.fromkeys(("abbestellt", "désabonnée", "désinscrite", "résilié", "dada-de-baja"), LEFT),
    **dict.fromkeys(("de-baja", "cancelada", "anulado", "desuscrito", "disiscritta", "cancellata", "disattivo"), LEFT),
    **dict.fromkeys(("descadastrada", "inativa", "wypisana", "nieaktywna"), LEFT),
    **dict.fromkeys(("отписана", "отписалась", "отписанный", "відписаний", "відписався", "afmeldt", "frameldt"), LEFT),
    **dict.fromkeys(("avmeldt", "avanmäld", "avprenumererad", "odhlášený", "leiratkozott", "dezabonat"), LEFT),
    **dict.fromkeys(("peruttu", "διαγράφηκε", "配信停止", "停止", "退訂", "已退訂", "已取消"), LEFT),
    **dict.fromkeys(("해지", "수신거부", "구독취소", "הוסר", "לא-פעיל", "ملغى", "غير-نشط"), LEFT),
    **dict.fromkeys(("soft-bounced", "soft-bounce", "softbounced", "softbounce"), ACTIVE),  # and they get the next
    **dict.fromkeys(("bounced", "cleaned", "undeliverable"), BOUNCED),
    **dict.fromkeys(("unreachable", "hard-bounced", "invalid", "bounce"), BOUNCED),
    **dict.fromkeys(("エラー", "退信"), BOUNCED),
    **dict.fromkeys(("invalid-email", "invalid-address", "invalid-e-mail", "permanent-bounce"), BOUNCED),
    **dict.fromkeys(("spam-complaint", "spamcomplaint", "reported-spam", "abuse-complaint"), COMPLAINED),
    **dict.fromkeys(("contactflaggedasspam", "spamreport", "signalé-comme-spam", "marcado-como-spam"), COMPLAINED),
    **dict.fromkeys(("user-suppressed", "manual-suppression", "manualsuppression", "adminblocked"), BLOCKED),
    **dict.fromkeys(("unsubscribedviaemail", "unsubscribedviama", "unsubscribedviaapi"), LEFT),
    **dict.fromkeys(("no-longer-subscribed", "signed-off", "user-unsubscribed"), LEFT),
    **dict.fromkeys(("hard-bounce", "hardbounce", "by-bounces", "zurückgewiesen", "rebotado", "rejeté"), BOUNCED),
    **dict.fromkeys(("unzustellbar", "rebote", "rimbalzato", "odbity", "devolvido", "teruggestuurd"), BOUNCED),
    **dict.fromkeys(("abused", "beschwerde", "plainte", "queja", "reclamo", "klacht", "skarga", "жалоба"), COMPLAINED),
    **dict.fromkeys(("complained", "complaint", "spam", "abuse", "junk", "spam-report", "marked-as-spam"), COMPLAINED),
    **dict.fromkeys(("blocklisted", "blacklisted", "blocked", "banned", "suppressed", "gesperrt", "bloqué"), BLOCKED),
    **dict.fromkeys(("bloqueado", "bloccato", "geblokkeerd", "zablokowany", "заблокирован", "blockerad"), BLOCKED),
    **dict.fromkeys(("abonnent", "abonnentin", "subscriber", "active-subscriber", "assinante", "subskrybent"), ACTIVE),
    **dict.fromkeys(("подписчик", "подписчица", "aktiivinen", "aktivní", "aktív", "activ", "активний"), ACTIVE),
    **dict.fromkeys(("onaylandı", "登録済み", "활성", "zugestimmt"), ACTIVE),
    **dict.fromkeys(("awaiting-double-opt-in", "double-opt-in-pending", "pending-double-opt-in"), PENDING),
    **dict.fromkeys(("doi-ausstehend", "wartet-auf-bestätigung", "onbevestigd", "niet-bevestigd"), PENDING),
    **dict.fromkeys(("à-confirmer", "en-attente-de-confirmation", "no-confirmado", "sin-confirmar"), PENDING),
    **dict.fromkeys(("pendiente-de-confirmación", "non-confermato", "da-confermare", "não-confirmado"), PENDING),
    **dict.fromkeys(("aguardando-confirmação", "oczekujący"), PENDING),
    **dict.fromkeys(("oczekuje", "неподтвержденный", "неподтверждённый"), PENDING),
    **dict.fromkeys(("ожидает-подтверждения", "obekräftad", "ubekræftet", "onaylanmadı", "onay-bekliyor"), PENDING),
    **dict.fromkeys(("仮登録", "承認待ち", "待确认"), PENDING),
    **dict.fromkeys(("待激活", "미확인", "nepotvrzeno", "waiting-for-confirmation"), PENDING),
    **dict.fromkeys(("abmeldung", "nicht-abonniert", "widerrufen", "desinscrito", "opgezegd", "zrezygnował"), LEFT),
    **dict.fromkeys(("отказался", "отказалась", "uppsagd", "abonelikten-çıktı", "登録解除", "取消订阅"), LEFT),
    **dict.fromkeys(("gelöscht", "eliminado", "rimosso", "removido"), LEFT),
    **dict.fromkeys(("verwijderd", "usunięty", "удален", "удалён"), LEFT),
    **dict.fromkeys(("비활성", "neaktivní", "inaktív", "inactiv", "unsubscribed-via-link"), LEFT),
    **dict.fromkeys(("nicht-zustellbar", "adresse-invalide", "npai", "rebond", "rebote-duro", "недоставлено"), BOUNCED),
    **dict.fromkeys(("studsat", "geri-döndü", "不達", "バウンス", "硬退", "반송", "반송됨", "nedoručitelné"), BOUNCED),
    **dict.fromkeys(("visszapattant", "hardbounced", "bouncing", "undelivered", "mailbox-does-not-exist"), BOUNCED),
    **dict.fromkeys(("spam-gemeldet", "spambeschwerde", "segnalato-come-spam", "denunciado-como-spam"), COMPLAINED),
    **dict.fromkeys(("gemarkeerd-als-spam", "пожаловался", "пожаловалась", "спам", "klagomål", "şikayet"), COMPLAINED),
    **dict.fromkeys(("迷惑メール報告", "投诉", "스팸신고"), COMPLAINED),
    **dict.fromkeys(("blockiert", "blacklist", "liste-noire", "lista-negra", "черный-список", "blokeret"), BLOCKED),
    **dict.fromkeys(("blokkert", "engellendi", "ブロック", "拒否"), BLOCKED),
    **dict.fromkeys(("黑名单", "已屏蔽", "차단", "차단됨", "blokován"), BLOCKED),
    **dict.fromkeys(("letiltva", "blocat", "global-suppression", "unmailable"), BLOCKED),
    **dict.fromkeys(("pausiert", "en-pause", "pausado", "in-pausa", "gepauzeerd", "wstrzymany", "pausad"), PAUSED),
    **dict.fromkeys(("приостановлен", "on-hold", "snoozed", "vacation", "nomail"), PAUSED),
    **dict.fromkeys(YES, ACTIVE),
    **dict.fromkeys(NO, LEFT),
}  # fmt: skip

# Roots of titles by what they speak of, without accents. The first kind that matches counts.
_ROOTS = {
    "other": r"sms|whatsapp|telefon|phone|mobile|push|viber|telegram|postal|directmail",
    "left_at": r"dezabon|avmeldt|odhlas|leiratkoz|peruut|διαγραφ|απεγγραφ|수신거부|구독취소|해지|הסר|הסרה|الغاء|الغي"
    r"|已取消|ablehn|widersp|declin|refus|objected|opposi"
    r"|unsub|optout|optedout|optoff|abgemeldet|abmeld|kundig|austrag|desabon|desinscri|desuscri|debaja"
    r"|fechabaja"
    r"|^baja|disiscri|descadastr|desinscr|uitgeschreven|uitschrij|afgemeld|afmeld|wypis|rezygn|отпис|avregistr"
    r"|avanmal"
    r"|avprenum|ayril|odhlas|відпис|退订|退訂|取消订|解除|退会|配信停止|optedoff|revok|withdrawn|widerruf|resilie"
    r"|^(?:is|was|has)?(?:deleted|removed)$|donotmail|shouldforget|forgetme|beforgotten"
    r"|donotemail|donotcontact|nomail|dnc$|^dnc|keinemail|leftat|leftlist|dateleft|removedat|^removed|deletedat"
    r"|^deleted"
    r"|cancelledat|canceledat|^cancel+ed|gelosch|supprime|eliminad|rimoss|verwijderd|usunie|удален|прекращ|终止|終止|購読停止|בוטל|ביטול|ملغ|الغاء"
    r"|(?:^|subscription|newsletter|membership)ended|stopgezet|gestopt|gestoppt|beendet|beeindig"
    r"|abbestell|austritt|ausgetreten|opgezegd|opzeg|avslut|opsagt|oph[oø]r|opphor|paatty|zrusen"
    r"|inactivesince|inaktivseit|inactifdepuis|churned|churndate|dateremoved"
    r"|^left(?:on|thelist)?$|^quit(?:date)?$|^exit(?:date)?$|newsletteroff$|newsletteraus$|newsletteruit$",
    "blocked": r"locked|rejected|deadmail|deademail|deadaddress|returnedmail|returnedemail|mailreturned|npai|nondistrib"
    r"|letilt|respins|επιστροφ|αποκλε|반송|차단|חסום|محظور"
    r"|bounc|black_?list|blocklist|blocked|isblock|suppress|complain|spam|abuse|banned|undeliver"
    r"|invalid|gesperrt"
    r"|sperr|unzustell|ungultig|rebond|rebot|rimbalz|devolvid|geblok|zablok|blokk|blokir|bloqu|bloccat|rejet"
    r"|rechaz|заблок|черныйспис|недостав"
    r"|sparrad|studs|engelli|karaliste|黑名单|黑名單|屏蔽|拒收|退信|ブロック|バウンス|エラー|不達|deliverab"
    r"|zustellbar|quarant"
    r"|plainte|beschwerd|queja|reclamac|denuncia|klacht|skarg|жалоб|скарг|投诉|投訴|신고|sikayet|klagomal"
    r"|mailerror|emailerror|deliveryerror|zustellfehler|unreachable|unerreichbar|injoignable|uncontactable|deceased|verstorben|gestorben|^decede|fallecid|falecid"
    r"|deceduto|overleden|zmarl|^умер|скончал|死亡|逝去",
    "confirmed": r"confirm|verif|validat|bestatig|conferm|bevestig|potwierdz|подтвер|підтвер|bekraft|onayl"
    r"|dogrulan|確認|确认|確定"
    r"|验证|認証|doubleopt|doi$|^doi(?:zeit|date|datum|time|stamp|status|at$|am$)|potvrz|activated|aktivier",
    "state": r"^opt$|souhlas|samtykk|suostum|hozzajarul|feliratk|acord$|συγκαταθ|συναιν|εγγραφ|συνδρομ|הסכמ|רשומ|מנוי"
    r"|동의|수신|구독|موافق|اشتراك|مشترك|acepta|aceita|accett|рассылк|розсилк"
    r"|oktomail|oktoemail|okemail|okmail|oktocontact|contactpref|emailpref|mailpref|comm(?:unication)?s?pref"
    r"|nieuwsbrief|nyhedsbrev|nyhetsbrev|uutiskirj|hirlevel|biuletyn|boletin|infolettre|bulten|뉴스레터|メルマガ|ニュースレター"
    r"|contactable|mailable|sendmail|reachable|erreichbar|privacy|datenschutz|rodo|kvkk|lgpd"
    r"|^accept$|accepts|accepted|agree"
    r"|akzept|consent|optin|optedin|subscribe(?!r)|subscription|permission|marketing|gdpr|dsgvo|rgpd|einwillig"
    r"|zustimm|einverst"
    r"|erlaubnis|consenso|consentim|autoriz|toestemm|zgod|соглас|згод|samtyck|godkan|^izin|^riza|onay|同意|許諾"
    r"|许可|許可"
    r"|statu[st]|^estado|situac|^stato|^stan$|статус|состояни|^durum|tillstand|状态|狀態|状態|ステータス|^stav$"
    r"|newsletter|abonn|abonad|abone|inscrit|inscripc|inscric|suscri|subscrit|iscri|inschrij|ingeschreven"
    r"|aangemeld|anmeld|angemeldet"
    r"|подпис|підпис|prenum|订阅|訂閱|購読|配信|isactive|^active$|^aktiv|^actif|^activo|^attivo|^ativo|^actief"
    r"|aktywn|активн|^aktif"
    r"|有効|启用|^enabled|isenabled|^disabled|isdisabled|accountdisabled|mailing|mayemail|canemail|receiveemail"
    r"|wantsemail"
    r"|deliverystat|emailstat|legalbasis|rechtsgrund|subbed",
}  # fmt: skip
_KINDS = [(kind, re.compile(roots)) for kind, roots in _ROOTS.items()]
# What is said of subscriptions as of much else, by words (`_worded`): "Carretera" has no "arrêté" in it, and who has a
# cancelled order did not leave.
_CALLED_OFF = re.compile(
    r"\b(?:subscription|newsletter|membership|abo)?(?:stopped|stop date|cancel(?:led|ed|ad|am|ac|laz|lat[aeio]\b|$| )"
    r"|cancell?ation(?! (?:polic|terms|conditions|fee|rules))|отмен|iptal|deactivat|deaktiv|desactiv|arrete|an+ul[ael]"
    r"|storn(?:o\b|ier|at[oai]\b))|取消|[a-z]storno\b|\bbaja$"
)
_OTHER_THINGS = re.compile(
    r"order|booking|event|payment|invoice|appointment|reserv|meeting|bestell|buchung|termin|rechnung|zahlung|commande"
    r"|paiement|pedido|pago|ordin|prenotaz|pagament|заказ|оплат|注文|予約|订单|訂單|\b(?:bus|planta|vega)\b"
)
# What turns a title into its opposite, or leaves it open: "No newsletter", "Unconfirmed", "Consent missing". What a yes
# means beside it nobody can be sure of. At its end "no" is a number.
_NOT = (
    r"\b(?:no(?!$)|not|non(?! distrib| profit)|never|nobody|none|without|dont|don t|do not|doesnt|doesn t|cannot|cant"
    r"|can t|wont|won t|kein\w*|nicht|ohne|niemals|ne|pas|sans|jamais|sin|senza|sem|nao|nunca|geen|niet|zonder|nooit"
    r"|nie|bez|brak|не|нет|без|ikke|ingen|inte|ej|utan|uden|uten|ei|nem|nincs|fara|degil|yok)\b"
)
_TURNED = re.compile(
    rf"{_NOT}|\b(?:needs?|awaiting|awaits|pending|missing|required|requires|lacks?|lacking|failed|fehlt|fehlend\w*"
    r"|ausstehend|erforderlich|paus\w+|suspen\w+|frozen|on hold|withheld|exclu\w*|ausschl\w*|ausgeschl\w*|esclu\w*"
    r"|eras\w+|delet\w+|losch\w*|forgotten|prohib\w*|forbid\w*|verbot\w*|verweiger\w*|denied|disallow\w*"
    r"|lehnt|ablehn\w*|отказ\w*|запр\w*)\b"
    r"|\bun(?:confirm|verif|valid|approv|want|wish|bestat|erwunsch|erlaub|gewollt|gewenst)|\bun(?:acti|aktiv)"
    r"|nieak|niepotw|niezweryf|niechcian|неподтв|непідтв|неактив|нежел|未|不|没|沒|[無无](?!料)|なし|拒|勿|禁|否"
)
_NOT_GONE = re.compile(
    rf"{_NOT} (?:yet |been |noch |mehr )?(?:unsub|opted|optout|abgemeld|abbestell|desabon|desinscri|disiscri|uitgeschr"
    r"|afgemeld|wypis|отпис)|(?<!un)(?<!non)(?<!not)(?<!unzu)(?<!non )(?<!not )(?:deliverable|\bzustellbar)"
)
# What mail is to somebody, and who may send it: both in one title speak of consent too, if not in a way we know.
_MAILING = re.compile(
    r"mail|deliver|\bcontact|kontakt|contatt|contat\w|schreib|ecrire|escrib|scriver|escrev|\bsend|\bwrite|\bwriting|\benvi"
    r"|\binvi|\bwys[yl]|verzend|писать|отправ|беспоко|пошт|почт|correo|courriel|メール|送信|联系|聯繫|邮|郵|\bnl\b"
    r"|rundbrief|rundschreib|\bwerb|\babo\b|interest|\bactive\b|\benabled\b"
)
_MAY = re.compile(
    r"\b(?:ok|okay|allow\w*|allowed|may|can|wants?|wanted|valid|gultig|erlaub\w*|darf|will|mag|mochte|gewunscht"
    r"|erwunscht|permitted|permit|autoris\w*|authori\w*|ja nein|yes no|disabled|off|stop\w*|forbidden)\b"
)
# What mail is called, and news, besides `_MAILING` and what the roots know: a yes or a no under such a title may be one
# to letters, or to something else.
_LETTERS = (
    "mail", "news", " nl ", " info ", " infos ", "information ", "informaz", "informac", " update", "neuigkeit",
    "nouvelle", "novedad", "novita", "novidad", "actualit", "aktuell", "angebot", " offer", " offre", " oferta",
    " offert", "promo", "digest", "bulletin", "notiziar", "circular", "letter", "lettre", " brief", "brev ", "werbung",
    "publicid", "publicit", "pubblicit", "reklam", "versand", "zusend", "zustell", "empfang", "verteiler", "diffusion",
    "notif", "benachricht", " avis ", "avviso", "announc", "ankundig", "communic", "comunic", "communik", "kommunik",
    "campai", "campag", "campana", "campan", "kampagn", "posted", "touch", "contact", "kontakt", "contatt", "interest",
    "interess", "receive ", "receives ", "receiving", "erhalt", "recevoir", "recib", "riceve", "ontvang", "otrzym",
    "получ", " alert", "bericht", "nachricht", "lahet", "meddel", "mitteil", "correo", "courriel", "рассыл", "новост",
    "письм", "メール", "案内", "お知らせ", "配信", "邮件", "郵件", "通知", "消息", "메일", "소식", "알림", "البريد",
    "דוא", "send ", "schick", " envi", " invia", " invio", " keep",
)  # fmt: skip
# Titles that are all of it, and those that begin so and go on with when or why.
_HELD = re.compile(
    r"(?:is |was |has |date |datum |fecha )?(?:stop|skip|remove|delete|hold|held|on hold|suspended|paused|muted"
    r"|silenced|frozen|halted|snoozed|vacation|on vacation|expired|lapsed|ended"
    r"|dormant|resigned|gone(?: away)?|left us|excluded?|exclusion|erased|forgotten|unwanted|inactive|inaktiv|inactif"
    r"|inactivo|inativo|inattivo|inactief|pausiert|ruhend|ausgeschlossen|ausschluss|loschen|exclure|exclu|excluir|excluido"
    r"|excluso|escluso|sprzeciw|odmowa|bezwaar|отказ|не беспокоить|do not disturb|拒否|拒絶|拒绝|勿扰|neaktiv\w*"
    r"|неактив\w*)(?: (?:at|on|since|date|time|until|till|from|by|reason|am|seit|bis|grund|le|il|op|datum|от) ?)*"
    r"|(?:is |was |has )?(?:rundbrief|rundschreiben|allowed|approved|send|keep|revoca|recusa|objection"
    r"|robinson(?: ?list\w*)?)"
)
# Left out of something: of what, may be the letters.
_LEFT_OUT = re.compile(
    r"\b(?:excluded? (?:from|in|by)|exclu[es]?s? d[eu]s?|excluid[oa]s? de|esclus[oai] d\w+|ausgeschlossen von)\b"
)
# Consent to something else than letters: to being watched or judged, to pictures, to passing on what is known.
_ELSE = re.compile(
    r"totrack|tracking|cookie|profiling|profilage|profilaz|profilac|profilier|profilow|photo|foto|bildrecht"
    r"|thirdpart|terzepart|aterzi|andritte|pourlestiers|terceros|aanderden|podmiotomtrzecim"
)
_BY_MAIL = re.compile(
    r"newsletter|mail(?!track|open|profil|cookie)|marketing|contact|nieuwsbrief|infolettre|boletin|рассыл|subscri|suscri"
    r"|inscri|iscri|abon|prenum|anmeld|подпис|digest|letter|brief|communi[ck]|comuni[ck]|kommunikat|commerc|komerc"
    r"|pubblicit|publicid|publicit|promo|reklam|werb|invio|envio|envoi|zusend|wysyl"
)
# What is told of a subscription besides whether there is one: where it came from, what it costs, on which terms.
_ASIDE = re.compile(
    r"\w*(?:source|quelle|seite)|sorgente|origine?|origem|fuente|fonte|bron|zrodlo|источник|herkunft|refer+er|page|url"
    r"|ip|tier|plan|tarifa?|preis|price|prix|precio|prezzo|prijs|cost|amount|currency|wahrung|interval|intervall|gifted"
    r"|interests?|interessen?|themen?|topics?|temas?|sujets?|categor\w*"
)
# Whose state it is, where it is none of a subscription.
_OF_ELSE = re.compile(
    r"\b(?:lead|order|deal|opportunity|lifecycle|payment|billing|invoice|loan|tax|marital|civil|family|relationship"
    r"|attendee|attendance|patron|employment|job|student|health|ticket|shipping|shipment|project|visa|kyc)\b"
)
# What has such a root in it and says nothing of the sort.
_HARMLESS = re.compile(
    r"(?:subscriber(?:id|name|number)|emailid)s?$|utmmarketing"
    r"|mailing(?:address|street|city|(?:state|province|country)(?:province|code)?|zip(?:postal)?(?:code)?|postal(?:code)?|postcode"
    r"|latitude|longitude|geocodeaccuracy)(?:line)?\d*$"
)
# What ends, or has ended: of consent such a title says either, and its dates may lie ahead.
_ENDS = re.compile(
    r"(?<!front )(?<!back )(?<!high )\b(?:subscription|newsletter|membership|abo|abonnement|laufzeit|vertrags?)?"
    r"(?:einde?|ende?|ends|ended)\b"
    r"|end ?dat(?:e|um)\b|\bend(?:at|on)\b|expir|ablauf|abgelaufen|scadenz|caduc|verloop|verlopen|vencim|истек"
    r"|оконч|koniec|konec|終了|期限|到期|만료|종료|\bfin(?: d|$)|\blost$"
)
_COUNTS = re.compile(
    r"sent\b|opened|opens|click|klick|received|delivered|views|gesendet|geoffnet|number|count|anzahl|nombre|numero|liczba|колич|antal|sayisi|total|rate|数|%|#"
)


@lru_cache(maxsize=2_000)
def folded(text: str) -> str:
    """In small letters, without accents, and without anything but letters and digits."""
    text = without_hint(text)
    plain = unicodedata.normalize("NFKD", text.lower().replace("ı", "i").replace("й", "и"))
    plain = "".join(c for c in plain if not unicodedata.combining(c) or "\u3099" <= c <= "\u309a")
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", plain))


@lru_cache(maxsize=2_000)
def _worded(text: str) -> str:
    """The same, with a space between words."""
    return " ".join(filter(None, map(folded, re.split(r"(?<=[a-z])(?=[A-Z])|[\W_]+", without_hint(text)))))


def kind(title: str) -> str:
    """What a title smells of: one of `STATES`, "other" for something else than mail, `ASKED`, or ""."""
    plain, words = folded(title[:100]), _worded(title[:100])
    if harmless := _HARMLESS.search(plain):  # "Invalid mailing address" may speak of either
        before = plain[: harmless.start()]
        return ASKED if _kind(before, before) in ("left_at", "blocked") else ""
    if _SECRET.search(words):
        return ""
    found = _kind(title, plain)
    if found == "other":
        return found
    if found == "left_at":
        return ASKED if _NOT_GONE.search(words) else found
    if found:
        return ASKED if _TURNED.search(words) or _NOT_GONE.search(words) else found
    spoken = _MAILING.search(words) and (_TURNED.search(words) or _MAY.search(words))
    return ASKED if spoken or _HELD.fullmatch(words) or _LEFT_OUT.search(words) else ""


# What is told of a link, and says nothing of who follows it: "confirmation_token", "Unsubscribe URL".
_SECRET = re.compile(r"\b(?:token|hash|guid|uuid|secret)\b|^unsub\w* (?:url|link)$|^confirmation (?:url|link|code)$")


def of_letters(title: str) -> bool:
    """Whether a title that we do not know may be about letters, so that a no beneath it may be one to them."""
    words = f" {_worded(title[:100])} "
    return any(part in words for part in _LETTERS) and not _HARMLESS.search(folded(title[:100]))


# How a server says that it takes no mail for an address (RFC 5321 §4.2.1, RFC 3463), in a list of bounces.
_FAILURE = re.compile(
    r"\b5\.\d\.\d{1,3}\b|^\W{0,3}5\d\d(?:[ :-]|$)"
    r"|\b(?:user|mailbox|recipient|address|account) (?:is )?"
    r"(?:unknown|unavailable|not found|does ?n[o']t exist|rejected|full)"
    r"|\bno such (?:user|mailbox|recipient|address)|\bunknown (?:user|recipient|mailbox)|\bover quota\b",
    re.IGNORECASE,
)


# Titles of why: where nothing says of what, it may be why they get no letters.
_WHY = re.compile(r"reason|reasons|grund|grunde|motif|motifs|motivo|motivos|motivi|reden|powod|причина|理由|原因|사유")


def tells_why(title: str) -> bool:
    """Whether a title is that of a reason, and does not say of what."""
    return bool(_WHY.fullmatch(folded(title[:100])))


def failure(value: str) -> bool:
    """Whether a value is what a mail server says of an address that it takes no mail for."""
    return len(value) > 5 and bool(_FAILURE.search(value[:200]))


_JOINED = re.compile(
    r"^(?:date|datum|data|fecha)?(?:de|d|di)?(?:created|creation|added|joined|registered|registration|registrierung"
    r"|signup|signedup|subscribed|subscription|optin|optedin|consent|inscription|inscri\w{2,8}|iscrizione|alta|adhesion"
    r"|anmeldung|anmelde|registro|registo|registrazione|zapisu|подписки|регистрации)(?:at|on|date|time|timestamp|datum)?$"
    r"|^(?:timestamp|time|zeitpunkt)(?:signup|opt|optin|der?anmeldung)$|^(?:created|create|added|joined|signup|join)(?:at|on"
    r"|date|time)?(?:utc|gmt)?\d?$|^(?:member|subscriber|reader|customer)since$|^(?:angelegt|erstellt|registriert|angemeldet"
    r"|hinzugefugt|eingetragen|aangemaakt|aangemeld|inscrit|oprettet|opprettet|skapad|tilmeldt)(?:am|op|le|den|dato)?$"
    r"|^(?:inschrijf|aanmeld)datum$|登録日時?$|登録日$|订阅(?:时间|日期)$|注册(?:时间|日期)$|가입일$|구독일$|등록일$"
)
_IP = re.compile(r"(?:^|\s)ip(?:\s|v4|v6|$)|ip ?addres|ip ?adress|adresse ?ip|direccion ?ip|indirizzo ?ip")


def proof(title: str) -> str:
    """Whether a title promises a proof of consent: "since" for when, "ip" for from where, else ""."""
    if _IP.search(_worded(title[:100])) and not _LAST.search(folded(title[:100])):
        return "ip"
    return "since" if _JOINED.search(folded(title[:100])) else ""


_LAST = re.compile(r"last|letzte|dernier|ultim|unsub|optout|abmeld")


def proven(title: str) -> int:
    """The rank of a proof of consent by its title, the better the lower: of who confirmed, who joined, and others."""
    plain = folded(title)
    if re.search(r"confirm|conferm|bestat|doubleopt|^doi|activated|verified", plain):
        return 0
    if re.search(r"consent|optin|opt$", plain):
        return 1
    return 2 if re.search(r"subscri|signup|join|inscri|iscri|anmeld", plain) else 3


def _kind(title: str, plain: str) -> str:
    found = next((kind for kind, roots in _KINDS if roots.search(plain)), "")
    if found not in ("other", "left_at") and _called_off(title[:100]):
        return "left_at"
    if found == "other":
        under = next((kind for kind, roots in _KINDS[1:] if roots.search(plain)), "")
        return under if not under or "email" in plain else "other"
    if found in ("state", "confirmed") and _ELSE.search(plain):
        return ASKED if _BY_MAIL.search(plain) else "other"
    if found == "state" and re.search("disabled", plain):
        return "left_at"
    return found


def ends(title: str) -> bool:
    """Whether a title speaks of an end, so that what stands under it is no sign of consent."""
    return bool(_ENDS.search(_worded(title[:100])))


def _called_off(text: str) -> bool:
    words = _worded(text)
    return bool(_CALLED_OFF.search(words)) and not _OTHER_THINGS.search(words)


def counts(title: str) -> bool:
    """Whether a title announces a number of things."""
    return bool(_COUNTS.search(folded(title[:100])))


def aside(title: str) -> bool:
    """Whether a title that smells of consent tells something besides it, or the state of something else."""
    words = _worded(title[:100])
    if any(map(_ASIDE.fullmatch, words.split())):
        return True
    return bool(_OF_ELSE.search(words)) and not kind(_STATE.sub("", words))  # an order's newsletter is a newsletter


_STATE = re.compile(r"\b\w*statu[st]\w*|статус\w*|\bestado|\bstat[oe]\b")


_SAID = re.compile(r"([^\W\d]+)[,!.]+-?(.*)", re.S)
# What people say beside a yes or a no; anything else, as in "Yes, by post", may turn it.
_COURTESY = re.compile(
    r"(?:please|thanks?|thank-you|bitte|ger[nr]e?|danke|merci|avec-plaisir|s'il-vous-plaît|por-favor|gracias|per-favore"
    r"|grazie|obrigad[oa]|graag|dank-je|proszę|dziękuję|пожалуйста|спасибо|lütfen|teşekkürler|tack|takk?)?[!.]*"
)


_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")


_NOTED = re.compile(r"([^()]+?)-?\(([^()]*)\)")  # "Unsubscribed (by admin)"; a note behind a yes may turn it


@lru_cache(maxsize=2_000)
def word(cell: str) -> str:
    """A cell as `WORDS` has it; of "Yes, please" and "Nein!" the first word."""
    found = re.sub(r"[\s_-]+", "-", _UNSEEN.sub("", cell[:60]).strip().lower())
    noted = _NOTED.fullmatch(found)
    if noted and noted[1] in WORDS and (WORDS[noted[1]] != ACTIVE or WORDS.get(noted[2]) == ACTIVE):
        return noted[1]
    said = _SAID.match(found)
    return said[1] if said and said[1] in YES | NO and _COURTESY.fullmatch(said[2]) else found


@lru_cache(maxsize=2_000)
def smells(value: str) -> bool:
    """Whether a value, of few words, speaks of leaving or of an address that gets no mail."""
    if len(value) > 40 or len(value.split()) > 3 or not any(c.isalpha() for c in value):
        return False
    known = WORDS.get(word(value))
    plain = folded(value)
    if known in (LEFT, PENDING, BOUNCED, COMPLAINED, BLOCKED) and plain not in _PLAIN and word(value) not in NO:
        return True
    if plain in ("left", "quit", "exit"):  # which say it in titles alone
        return False
    if kind(value) == ASKED and plain not in _PLAIN and _NOT_SAID.search(_worded(value)):
        return True
    return _called_off(value) or any(roots.search(plain) for kind, roots in _KINDS if kind in ("left_at", "blocked"))


_NOT_SAID = re.compile(_NOT)
_PLAIN = frozenset(
    ("removed", "deleted", "archived", "disabled", "inactive", "new", "waiting", "left", "invalid", "junk",
     "geloscht", "eliminado", "rimosso", "removido", "verwijderd", "usuniety", "удален", "widerrufen", "blockiert",
     "neu", "wartend", "nouveau", "nuevo", "nuovo", "novo", "nieuw", "nowy", "новыи", "rebote", "reclamo")
)  # fmt: skip


def reason(title: str, default: str = BLOCKED) -> str:
    """Why an address gets no letters, by the title of the column that says so."""
    plain = folded(title)
    if re.search(r"bounc|rebond|rebot|rimbalz|devolvid|studs|退信|バウンス|undeliver|unzustell", plain):
        return BOUNCED
    if re.search(
        r"complain|spam|abuse|plainte|beschwerd|queja|reclamac|denuncia|klacht|skarg|жалоб|скарг|投诉|投訴|신고|sikayet|klagomal",
        plain,
    ):
        return COMPLAINED
    return default


# Names of files whose people are no readers.
_NAMES = re.compile(
    r"unconfirm|notconfirm|nonsubscri|notsubscri|neversubscri|nonmember|nomail|bybounce|donot|pending|unbestatig|inactiv|inaktiv|former|lapsed|ehemalig|removed|geloscht|deleted"
    r"|cleaned|leavers|^dead|robinson|cancel|purge|waiting|junk|archived|trash|papierkorb|corbeille|^lost|sperrlist"
    r"|blacklist|blocklist|blocked|suppress|bounc|spam|complain|abuse|undeliver|invalid(e?mail|address)|rejected"
    r"|optedout"
)


def tells_otherwise(name: str) -> bool:
    """Whether the name of a file, without its ending, or a heading says that the people in it are no readers."""
    plain = folded(name)
    return bool(_NAMES.search(plain)) or bool(_KINDS[1][1].search(plain)) or "dnc" in plain


def heading(text: str) -> bool | None:
    """Whether a heading, or a comment, says that who stands below it are readers; None where it says neither."""
    said = " ".join(re.sub(r"[\W\d_]", " ", text[:100]).split())
    if not said or len(said.split()) > 8 or word(said) in NO | YES:
        return None
    if tells_otherwise(said) or smells(said) or kind(said) == ASKED or WORDS.get(word(said), ACTIVE) != ACTIVE:
        return False
    return True if WORDS.get(word(said)) == ACTIVE or kind(said) in ("state", "confirmed") else None


def listed(cell: str) -> list[str]:
    """The words of a cell that may hold a list of them, as in ['email', 'sms']."""
    text = cell.strip()
    if text[:1] == "[" and text[-1:] == "]" and len(text) > 3:
        inner = [part.strip().strip("'\"") for part in text[1:-1].split(",")]
        if all(part and " " not in part for part in inner) and any(c in text for c in "'\""):
            return [word(part) for part in inner]
    return [word(cell)]
