//! What people write into `gateway.toml` for the scripts that ship: eight edits of each route and rule, laid over its section.

/// Connectors that an organisation has besides.
pub(super) const CONNECTORS: &str = r#"
[connectors.org]
kind = "okta"
org_url = "https://example.okta.com"
token = { env = "OKTA_TOKEN" }
[connectors.hr]
kind = "http"
base_url = "https://hr.example.com"
[connectors.chat]
kind = "file"
path = "data/chat.jsonl"
"#;

/// The section, and its edits as TOML.
pub(super) const EDITS: &[(&str, [&str; 8])] = &[
    (
        "routes.signup",
        [
            r#"params.allow = ["example.com", "*.partner.example"]"#,
            r#"params.deny = []"#,
            r#"params.plus = "deny""#,
            r#"params.missing_email = "allow""#,
            r#"params.check = "email""#,
            r#"params.messages.en.domain = "Use your company address.""#,
            r#"params.disposable.mode = "off""#,
            r#"on_failure = "allow""#,
        ],
    ),
    (
        "routes.legacy-passwords",
        [
            r#"params.tries = "3/1h""#,
            r#"params.tries = "off""#,
            r#"params.username = "exact""#,
            r#"params.allow_weak = true"#,
            r#"params.sources = [{ http = "hr", path = "/users/{username}" }]"#,
            r#"params.sources = [{ table = "legacy_users", hash = "password", normalise = "NFC" }]"#,
            r#"limits.deadline_ms = 1000"#,
            r#"params.like = "$2b$12$Jyd8klqSXgJDhjwpW6CCK..akTti3/kZETh4Rd39k7vq54xK6tyyi""#,
        ],
    ),
    (
        "routes.tokens",
        [
            r#"params.claim = "entitlements""#,
            r#"params.max_items = 5"#,
            r#"params.clients."0oaMine0000000000000" = ["shop"]"#,
            r#"params.scopes."orders:read" = ["orders.reader"]"#,
            r#"params.tokens = ["id"]"#,
            r#"params.only_clients = ["0oaMine0000000000000"]"#,
            r#"params.source = { okta = "org" }"#,
            r#"on_failure = { refuse = "Please try again." }"#,
        ],
    ),
    (
        "routes.saml",
        [
            r#"params.unknown_app = "refuse""#,
            r#"params.apps = []"#,
            r#"params.apps = [{ audience = "urn:shop", rules = [{ to = "company", value = "Corp" }] }]"#,
            r#"params.alert = "chat""#,
            r#"params.apps = [{ issuer = "http://www.okta.com/exkShop", name_id = { form = "hash", key = "k" } }]"#,
            r#"params.apps = [{ audience = "urn:example:portal" }]"#,
            r#"on_failure = { refuse = "Please try again." }"#,
            r#"path = "/hooks/saml""#,
        ],
    ),
    (
        "routes.hr-import",
        [
            r#"params.key = "employeeId""#,
            r#"params.domain = "example.com""#,
            r#"params.pattern = "{last}.{first}""#,
            r#"params.ambiguous = "leave""#,
            r#"params.alert = "chat""#,
            r#"params.org = "org""#,
            r#"params.mint = "always""#,
            r#"params.max_suffix = 3"#,
        ],
    ),
    (
        "routes.telephony",
        [
            r#"params.allow_countries = ["FR"]"#,
            r#"params.allow_countries = []"#,
            r#"params.default_region = "GB""#,
            r#"params.block_mode = "let_okta_send""#,
            r#"params.limits = { per_number = "2/1h", per_ip = "5/10m" }"#,
            r#"params.deny_kinds = []"#,
            r#"params.landlines = "block""#,
            r#"on_failure = "swallow""#,
        ],
    ),
    (
        "routes.events.rules.group-joined",
        [
            r#"events = ["group.user_membership.*"]"#,
            r#"outcome = []"#,
            r#"target_type = ["UserGroup"]"#,
            r#"target_id = ["00g8h1kXq2ZbT0aYw5d7"]"#,
            r#"actor_type = ["User"]"#,
            r#"order_by = "target.UserGroup.id""#,
            r#"limits.operations = 1000"#,
            r#"params.channel = "chat""#,
        ],
    ),
    (
        "routes.events.rules.group-watch",
        [
            r#"params.channel = "chat""#,
            r#"params.page = "chat""#,
            r#"params.groups."00gMine" = { label = "Mine", severity = "page" }"#,
            r#"params.rights = "off""#,
            r#"params.bulk_over = 5"#,
            r#"params.ignore_actors = ["00u7h1kXq2ZbT0aYw5d7"]"#,
            r#"params.quiet_unless = "page""#,
            r#"events = ["group.user_membership.*"]"#,
        ],
    ),
    (
        "routes.events.rules.session-watch",
        [
            r#"params.countries = ["Austria"]"#,
            r#"params.countries = []"#,
            r#"events = ["user.session.*"]"#,
            r#"outcome = ["FAILURE"]"#,
            r#"actor_type = ["User"]"#,
            r#"order_by = "actor.id""#,
            r#"limits.deadline_ms = 500"#,
            r#"params.countries = ["Austria", "Switzerland", "Germany"]"#,
        ],
    ),
    (
        "routes.events.rules.suspicious-activity",
        [
            r#"params.channels = ["chat"]"#,
            r#"params.channels = ["alerts", "chat"]"#,
            r#"params.actions = { default = "notify", admins = "page" }"#,
            r#"params.page = "chat""#,
            r#"params.vips = ["00u7h1kXq2ZbT0aYw5d7"]"#,
            r#"params.ticket = { connector = "hr", path = "/tickets" }"#,
            r#"params.pii = "minimal""#,
            r#"params.okta = "org""#,
        ],
    ),
    (
        "routes.events.rules.password-changed",
        [
            r#"params.targets = []"#,
            r#"params.targets = [{ connector = "hr", path = "/sessions/{login}" }]"#,
            r#"params.max_age = "30m""#,
            r#"params.channel = "chat""#,
            r#"params.skip = ["00u8h1kXq2ZbT0aYw5d7"]"#,
            r#"params.okta = "org""#,
            r#"params.mail = "chat""#,
            r#"events = ["user.account.update_password"]"#,
        ],
    ),
    (
        "routes.events.rules.import-check",
        [
            r#"params.org = "org""#,
            r#"params.channel = "chat""#,
            r#"params.key_okta = "staffId""#,
            r#"params = { org = "org", channel = "archive", key_okta = "staffId" }"#,
            r#"outcome = ["SUCCESS"]"#,
            r#"actor_type = ["User"]"#,
            r#"limits.deadline_ms = 2000"#,
            r#"order_by = "target.User.id""#,
        ],
    ),
    (
        "routes.events.rules.deprovision",
        [
            r#"params = { dry_run = false, okta = "org" }"#,
            r#"params.steps = []"#,
            r#"params.steps = [{ name = "crm", connector = "hr", verb = "post", path = "/leavers", grace = "1d" }]"#,
            r#"params.protect = ["00u8h1kXq2ZbT0aYw5d7"]"#,
            r#"params.max_per_hour = 5"#,
            r#"params.report = "chat""#,
            r#"params.page = "chat""#,
            r#"events = ["user.lifecycle.deactivate"]"#,
        ],
    ),
    (
        "routes.events.rules.siem-forward",
        [
            r#"params.sinks = [{ connector = "chat" }]"#,
            r#"params.sinks = [{ connector = "archive", format = "ecs" }]"#,
            r#"params.sinks = [{ connector = "hr", path = "/events", format = "ocsf", redact = ["client.ipAddress"] }]"#,
            r#"params.types = ["user.*"]"#,
            r#"params.deny_types = ["system.*"]"#,
            r#"params.gateway = "eu-1""#,
            r#"events = ["user.*"]"#,
            r#"outcome = ["FAILURE"]"#,
        ],
    ),
];

/// An edit as TOML, and what is said of it behind the place.
type Mistake = (&'static str, &'static str);

/// A misspelt key, a wrong word (where the script has none: a name that is none) and a wrong type, for each section.
pub(super) const MISTAKES: &[(&str, [Mistake; 3])] = &[
    (
        "routes.signup",
        [
            (
                r#"params.alow = ["example.com"]"#,
                "alow`: `registration.rhai` has no parameter `alow` (did you mean `allow`?)",
            ),
            (
                r#"params.plus = "dney""#,
                r#"plus`: must be "allow", "deny" or "strip_for_compare", not "dney" (did you mean "deny"?)"#,
            ),
            (r#"params.deny = 7"#, "deny`: must be a list of domains, not 7 (the same form; wins over `allow`)"),
        ],
    ),
    (
        "routes.legacy-passwords",
        [
            (
                r#"params.trys = "3/1h""#,
                "trys`: `password_import.rhai` has no parameter `trys` (did you mean `tries`?)",
            ),
            (
                r#"params.username = "lowercase""#,
                r#"username`: must be "lower" or "exact", not "lowercase" (did you mean "lower"?)"#,
            ),
            (
                r#"params.sources = [{ table = "legacy_user" }]"#,
                "sources[0].table`: there is no table `legacy_user` (did you mean `legacy_users`?)",
            ),
        ],
    ),
    (
        "routes.tokens",
        [
            (
                r#"params.max_item = 5"#,
                "max_item`: `token.rhai` has no parameter `max_item` (did you mean `max_items`?)",
            ),
            (
                r#"params.tokens = ["acess"]"#,
                r#"tokens[0]`: must be "access" or "id", not "acess" (did you mean "access"?)"#,
            ),
            (
                r#"params.max_items = 0"#,
                "max_items`: must be a whole number, 1 or more, not 0 (entitlements that a token may carry)",
            ),
        ],
    ),
    (
        "routes.saml",
        [
            (
                r#"params.unknown_apps = "refuse""#,
                "unknown_apps`: `saml.rhai` has no parameter `unknown_apps` (did you mean `unknown_app`?)",
            ),
            (
                r#"params.unknown_app = "refused""#,
                r#"unknown_app`: must be "pass" or "refuse", not "refused" (did you mean "refuse"?)"#,
            ),
            (
                r#"params.apps = [{ audience = "urn:shop", rules = [{ to = 7, value = "Corp" }] }]"#,
                "apps[0].rules[0].to`: must be a text, not 7 (its name, which may be a URI. There already: replaced, else added)",
            ),
        ],
    ),
    (
        "routes.hr-import",
        [
            (
                r#"params.domian = "example.com""#,
                "domian`: `user_import.rhai` has no parameter `domian` (did you mean `domain`?)",
            ),
            (
                r#"params.ambiguous = "raport""#,
                r#"ambiguous`: must be "leave" or "report", not "raport" (did you mean "report"?)"#,
            ),
            (
                r#"params.max_suffix = "9""#,
                "max_suffix`: must be a whole number from 1 to 20, not \"9\" (how many logins are tried: ann.lee, ann.lee2 … ann.lee9)",
            ),
        ],
    ),
    (
        "routes.telephony",
        [
            (
                r#"params.allow_country = ["FR"]"#,
                "allow_country`: `telephony.rhai` has no parameter `allow_country` (did you mean `allow_countries`?)",
            ),
            (
                r#"params.block_mode = "swalow""#,
                r#"block_mode`: must be "swallow" or "let_okta_send", not "swalow" (did you mean "swallow"?)"#,
            ),
            (
                r#"params.limits = { per_ip = 5 }"#,
                r#"limits.per_ip`: must be a rate such as "5/10m", not 5 (for one address)"#,
            ),
        ],
    ),
    (
        "routes.events.rules.group-watch",
        [
            (
                r#"params.chanel = "chat""#,
                "chanel`: `group_watch.rhai` has no parameter `chanel` (did you mean `channel`?)",
            ),
            (
                r#"params.groups."00gMine".severity = "pages""#,
                r#"groups.00gMine.severity`: must be "info" or "page", not "pages" (did you mean "page"?)"#,
            ),
            (
                r#"params.digest_window = 60"#,
                r#"digest_window`: must be a length of time such as "10m", not 60 (changes of members within this time are told together)"#,
            ),
        ],
    ),
    (
        "routes.events.rules.session-watch",
        [
            (
                r#"params.contries = ["Austria"]"#,
                "contries`: `session_watch.rhai` has no parameter `contries` (did you mean `countries`?)",
            ),
            (
                r#"params.countries = [""]"#,
                "countries[0]`: must be a text, not \"\" (English names, as Okta writes them, of the countries that users sign in from; empty: all)",
            ),
            (
                r#"params.countries = true"#,
                "countries`: must be a list of texts, not true (English names, as Okta writes them, of the countries that users sign in from; empty: all)",
            ),
        ],
    ),
    (
        "routes.events.rules.suspicious-activity",
        [
            (
                r#"params.channel = ["chat"]"#,
                "channel`: `suspicious_activity.rhai` has no parameter `channel` (did you mean `channels`?)",
            ),
            (
                r#"params.actions = { admins = "page+clear_session" }"#,
                r#"actions.admins[1]`: must be "notify", "page", "ticket", "clear_sessions" or "suspend", not "clear_session" (did you mean "clear_sessions"?)"#,
            ),
            (r#"params.channels = ["chta"]"#, "channels[0]`: there is no connector `chta` (did you mean `chat`?)"),
        ],
    ),
    (
        "routes.events.rules.password-changed",
        [
            (
                r#"params.maxage = "30m""#,
                "maxage`: `password_changed.rhai` has no parameter `maxage` (did you mean `max_age`?)",
            ),
            (
                r#"params.targets = [{ conector = "hr", connector = "hr", path = "/x" }]"#,
                "targets[0].conector`: `password_changed.rhai` has no parameter `conector` (did you mean `connector`?)",
            ),
            (
                r#"params.okta = "hr""#,
                "okta`: the connector `hr` does not go with `okta`: it is of another kind (these do: org)",
            ),
        ],
    ),
    (
        "routes.events.rules.import-check",
        [
            (
                r#"params.key_octa = "x""#,
                "key_octa`: `import_check.rhai` has no parameter `key_octa` (did you mean `key_okta`?)",
            ),
            (r#"params.org = "orgs""#, "org`: there is no connector `orgs` (did you mean `org`?)"),
            (
                r#"params.key_okta = 7"#,
                "key_okta`: must be a text, not 7 (the attribute of Okta's profile that tells people apart)",
            ),
        ],
    ),
    (
        "routes.events.rules.deprovision",
        [
            (
                r#"params.dryrun = false"#,
                "dryrun`: `deprovision.rhai` has no parameter `dryrun` (did you mean `dry_run`?)",
            ),
            (
                r#"params.steps = [{ name = "x", connector = "hr", verb = "pots" }]"#,
                r#"steps[0].verb`: must be "post", "put", "patch", "delete", "notify", "clear_sessions", "deactivate_user", "remove_from_group" or "revoke_sign_in_sessions", not "pots" (did you mean "post"?)"#,
            ),
            (
                r#"params.dry_run = "false""#,
                "dry_run`: must be true or false, not \"false\" (`false`: do it; `true`: people read what would be done, call by call, and nothing is)",
            ),
        ],
    ),
    (
        "routes.events.rules.siem-forward",
        [
            (
                r#"params.deny_type = ["system.*"]"#,
                "deny_type`: `siem_forward.rhai` has no parameter `deny_type` (did you mean `deny_types`?)",
            ),
            (
                r#"params.sinks = [{ connector = "archive", format = "ocfs" }]"#,
                r#"sinks[0].format`: must be "raw", "envelope", "ecs" or "ocsf", not "ocfs" (did you mean "ocsf"?)"#,
            ),
            (
                r#"params.sinks = { connector = "archive" }"#,
                "sinks`: must be a list of tables, not a table (where to: `[{ connector = \"archive\" }, { connector = \"siem\", format = \"ecs\" }]`)",
            ),
        ],
    ),
];
