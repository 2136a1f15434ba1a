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
