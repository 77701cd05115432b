//! Configurations of several parts: included files, inherited environments, variables of the
//! environment, scopes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes its input")]

mod fakes;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use dsops_resolver::{
    Config, LoadOptions, NoEnvironment, OpenContext, Plan, PlannedSource, Power, ResolveOptions,
    Selection, codes, plan, resolve,
};

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn load(dir: &Path) -> Config {
    Config::load(dir.join("dsops.yaml")).unwrap()
}

fn planned(config: &Config, environment: &str) -> Plan {
    plan(config, environment, &fakes::Fakes::default()).unwrap()
}

/// `NAME=literal` of each variable.
fn literals(plan: &Plan) -> Vec<String> {
    let literal = |source: &PlannedSource| match source {
        PlannedSource::Literal(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
        _ => "?".to_owned(),
    };
    plan.variables.iter().map(|v| format!("{}={}", v.name, literal(&v.source))).collect()
}

fn places(plan: &Plan, name: &str) -> Vec<String> {
    let variable = plan.variables.iter().find(|variable| variable.name == name).unwrap();
    let file = |place: &dsops_resolver::Place| {
        format!("{}:{}", Path::new(&*place.file).file_name().unwrap().display(), place.line)
    };
    let overridden =
        variable.overrides.iter().map(|o| format!("{} ({})", file(&o.place), o.environment));
    std::iter::once(format!("{} ({})", file(&variable.place), variable.environment))
        .chain(overridden)
        .collect()
}

#[test]
fn later_files_and_the_including_one_win() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            (
                "dsops.yaml",
                "version: 1\ninclude: [ a.yaml, sub/b.yaml ]\nenvs:\n  dev:\n    A: { literal: main }\n    GONE:\n",
            ),
            (
                "a.yaml",
                "envs: { dev: { A: { literal: a }, B: { literal: a }, GONE: { literal: a } }, only_a: {} }\nsecretStores: { s: { type: fake } }\ntransforms: { t: upper }\n",
            ),
            (
                "sub/b.yaml",
                "include: c.yaml\nenvs: { dev: { A: { literal: b }, B: { literal: b } } }\nproviders: { s: { type: field } }\ntransforms: { t: lower }\n",
            ),
            (
                "sub/c.yaml",
                "envs: { dev: { B: { literal: c }, C: { literal: c, transform: t } } }\n",
            ),
        ],
    );
    let config = load(dir.path());
    let plan = planned(&config, "dev");
    assert_eq!(literals(&plan), ["A=main", "B=b", "C=c"]);
    assert_eq!(places(&plan, "A"), ["dsops.yaml:5 (dev)", "b.yaml:2 (dev)", "a.yaml:1 (dev)"]);
    assert_eq!(places(&plan, "B"), ["b.yaml:2 (dev)", "c.yaml:1 (dev)", "a.yaml:1 (dev)"]);
    assert_eq!(plan.variables[2].transforms[0].to_string(), "lower");
    let store = config.stores().next().unwrap();
    assert_eq!((store.store_type(), store.overrides().len()), ("field", 1));
    assert_eq!(config.environments().collect::<Vec<_>>(), ["dev", "only_a"]);
    let files: Vec<_> = config
        .files()
        .iter()
        .map(|file| (file.path.strip_prefix(dir.path()).unwrap().to_owned(), file.outside))
        .collect();
    let names: Vec<_> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(names, ["dsops.yaml", "a.yaml", "sub/b.yaml", "sub/c.yaml"]);
    assert!(files.iter().all(|(_, outside)| !outside));
}

#[test]
fn what_is_wrong_in_an_included_file_has_its_place_there() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("dsops.yaml", "include: [ a.yaml, broken.yaml ]\nenvz: {}\n"),
            ("a.yaml", "envs:\n  dev: { A: { literl: hunter2 } }\n"),
            ("broken.yaml", "envs: [\n"),
        ],
    );
    let errors = Config::load(dir.path().join("dsops.yaml")).unwrap_err();
    let said: Vec<_> = errors
        .diagnostics()
        .iter()
        .map(|d| {
            let place = d.place.as_ref().unwrap();
            let name = Path::new(&*place.file).file_name().unwrap().to_str().unwrap().to_owned();
            (d.code, name, place.line)
        })
        .collect();
    assert_eq!(
        said,
        [
            (codes::UNKNOWN_KEY, "a.yaml".to_owned(), 2),
            (codes::SYNTAX, "broken.yaml".to_owned(), 1),
            (codes::UNKNOWN_KEY, "dsops.yaml".to_owned(), 2),
        ]
    );
    assert!(!format!("{errors:?}").contains("hunter2"));
}

#[test]
fn circles_depth_and_number_of_files_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let message = |name: &str| {
        Config::load(dir.path().join(name)).unwrap_err().diagnostics()[0].message.clone()
    };
    write(dir.path(), &[("a.yaml", "include: b.yaml\n"), ("b.yaml", "include: ./a.yaml\n")]);
    assert!(message("a.yaml").ends_with("a.yaml includes itself, directly or by another file"));
    for i in 0..10 {
        let text = format!("include: deep{}.yaml\n", i + 1);
        write(dir.path(), &[(&format!("deep{i}.yaml"), &text)]);
    }
    assert_eq!(message("deep0.yaml"), "`include` goes deeper than 8 files");
    write(dir.path(), &[("leaf.yaml", "version: 1\n")]);
    let many = |n: usize| format!("include: [{}]\n", "leaf.yaml, ".repeat(n));
    write(dir.path(), &[("many.yaml", &many(31)), ("more.yaml", &many(32))]);
    assert_eq!(Config::load(dir.path().join("many.yaml")).unwrap().files().len(), 32);
    assert_eq!(message("more.yaml"), "the configuration includes more than 31 files");
    let large = format!("version: 1\n#{}\n", "x".repeat(600 * 1024));
    write(
        dir.path(),
        &[("large.yaml", &large), ("two.yaml", "include: [ large.yaml, large.yaml ]\n")],
    );
    assert_eq!(message("two.yaml"), "the files of the configuration are larger than 1048576 bytes");
}

#[cfg(unix)]
#[test]
fn a_file_outside_the_folder_is_known_as_such() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("out.yaml", "version: 1\n"),
            ("in/dsops.yaml", "include: [ ../out.yaml, link.yaml, own.yaml ]\n"),
            ("in/own.yaml", "version: 1\n"),
        ],
    );
    std::os::unix::fs::symlink("../out.yaml", dir.path().join("in/link.yaml")).unwrap();
    let config = load(&dir.path().join("in"));
    let outside: Vec<bool> = config.files().iter().map(|file| file.outside).collect();
    assert_eq!(outside, [false, true, true, false]);
    assert_eq!(config.files()[1].included_at.as_ref().unwrap().column, 12);
}

#[test]
fn a_text_alone_includes_nothing() {
    let error = Config::parse("dsops.yaml", "include: a.yaml\n").unwrap_err();
    assert_eq!(error.diagnostics()[0].code, codes::INCLUDE);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("a.yaml", "envs: { dev: { A: { literal: x } } }\n")]);
    let path = dir.path().join("dsops.yaml");
    let config = Config::parse_at(&path, "include: a.yaml\n", &LoadOptions::new()).unwrap();
    assert_eq!(literals(&planned(&config, "dev")), ["A=x"]);
    assert_eq!(config.base_dir(), dir.path());
}

#[test]
fn the_hash_covers_every_file_and_nothing_else() {
    let files = [("dsops.yaml", "include: sub/a.yaml\n"), ("sub/a.yaml", "version: 1\n")];
    let hash = |files: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        load(dir.path()).content_hash().to_owned()
    };
    let first = hash(&files);
    assert_eq!((first.len(), &first), (64, &hash(&files)));
    assert_ne!(first, hash(&[files[0], ("sub/a.yaml", "version: 1 \n")]));
    assert_ne!(first, hash(&[("dsops.yaml", "include: ./sub/a.yaml\n"), files[1]]));
    assert_ne!(
        first,
        hash(&[("dsops.yaml", "include: sub/b.yaml\n"), ("sub/b.yaml", "version: 1\n")])
    );
    // By other means: a length, the name, the digest of the text.
    assert_eq!(
        Config::parse("x/dsops.yaml", "version: 1\n").unwrap().content_hash(),
        "66d6aedfd06b8694367c78170a9487440850ae9353181ef1a2038eeb07bcc4c0"
    );
}

#[test]
fn environments_inherit_and_remove() {
    let config = Config::parse(
        "f",
        "envs:
  base: { A: { literal: base }, B: { literal: base }, C: { literal: base } }
  mixin: { B: { literal: mixin }, D: { literal: mixin } }
  prod: { extends: [ base, mixin ], C: , A: { literal: prod } }
  eu: { extends: prod, D: ~, C: { literal: eu } }
  twice: { extends: [ base, eu, base ] }
",
    )
    .unwrap();
    assert_eq!(literals(&planned(&config, "prod")), ["A=prod", "B=mixin", "D=mixin"]);
    assert_eq!(literals(&planned(&config, "eu")), ["A=prod", "B=mixin", "C=eu"]);
    assert_eq!(literals(&planned(&config, "twice")), ["A=base", "B=base", "C=base"]);
    assert_eq!(places(&planned(&config, "eu"), "A"), ["f:4 (prod)", "f:2 (base)"]);
    assert_eq!(places(&planned(&config, "eu"), "B"), ["f:3 (mixin)", "f:2 (base)"]);
    assert_eq!(places(&planned(&config, "eu"), "C"), ["f:5 (eu)"]);
    assert_eq!(
        config.ancestors("eu").into_iter().collect::<Vec<_>>(),
        ["base", "eu", "mixin", "prod"]
    );
}

fn variables(name: &str) -> Option<OsString> {
    Some(match name {
        "STAGE" => "dev".into(),
        "TOKEN" => "hunter2".into(),
        "MS" => "250".into(),
        "TYPE" => "fake".into(),
        _ => return None,
    })
}

#[test]
fn variables_of_the_environment_are_put_in_everywhere_but_in_values() {
    let text = "
secretStores:
  s:
    type: ${TYPE}
    timeout_ms: ${MS}
    token: \"x${TOKEN}\"
    values: { dev/a: 'value ${STAGE}', raw: '$${STAGE}' }
envs:
  dev:
    A: { from: 'store://s/${STAGE}/a' }
    B: { from: { store: s, key: '${STAGE}/a' } }
    C: { literal: 'is ${STAGE}$${STAGE}$$' }
    D: { from: store://s/nothing, default: '${STAGE:-x}' }
    E: store://s/raw
    F: { from: store://s/nothing, optional: true }
";
    let options = LoadOptions::new().variables(&variables);
    let config = Config::parse_at("dsops.yaml", text, &options).unwrap();
    let store = config.stores().next().unwrap();
    assert_eq!(store.store_type(), "fake");
    assert_eq!(store.timeout(), Some(std::time::Duration::from_millis(250)));
    assert_eq!(&*store.secret("token").unwrap().unwrap().expose(), b"xhunter2");
    assert_eq!(config.expanded_variables().collect::<Vec<_>>(), ["MS", "STAGE", "TOKEN", "TYPE"]);
    assert_eq!(config.expanded_credentials().collect::<Vec<_>>(), ["TOKEN"]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let plan = planned(&config, "dev");
    let cx = OpenContext::new(config.base_dir(), &NoEnvironment);
    let fakes = fakes::Fakes::default();
    let resolved = resolve(&plan, &fakes, &cx, &ResolveOptions::default()).unwrap();
    let value =
        |name: &str| String::from_utf8(resolved.get(name).unwrap().expose().to_vec()).unwrap();
    assert_eq!(value("A"), "value dev");
    assert_eq!(value("B"), "value dev");
    assert_eq!(value("C"), "is dev${STAGE}$$");
    assert_eq!(value("D"), "dev");
    // What a store gives is not looked at: this is the text `${STAGE}` itself.
    assert_eq!(value("E"), "${STAGE}");
    assert!(resolved.get("F").is_none());
}

#[test]
fn without_a_source_of_variables_it_says_so() {
    let config = Config::parse("f", "envs: { dev: { A: { literal: '${X}' } }, b: {} }").unwrap();
    let errors = plan(&config, "dev", &fakes::Fakes::default()).unwrap_err();
    assert_eq!(
        errors.diagnostics()[0].message,
        "`${X}` cannot be expanded: no environment is given to this configuration"
    );
    assert!(plan(&config, "b", &fakes::Fakes::default()).is_ok());
}

#[test]
fn every_form_of_a_reference_means_the_same() {
    let forms = [
        "{ from: 'store://s/a#f?version=2' }",
        "{ from: 'store://s/a?version=2#f' }",
        "{ from: { store: 'store://s/a#f?version=2' } }",
        "{ from: { store: store://s/a, field: f, version: 2 } }",
        "{ from: { store: s, key: a, field: f, version: 2 } }",
        "{ from: { provider: s, key: a, field: f, version: 2 } }",
        "'store://s/a#f?version=2'",
    ];
    for form in forms {
        for store_type in ["fake", "field"] {
            let text = format!(
                "secretStores: {{ s: {{ type: {store_type} }} }}\nenvs: {{ dev: {{ A: {form} }} }}"
            );
            let config = Config::parse("f", &text).unwrap();
            let plan = planned(&config, "dev");
            let variable = &plan.variables[0];
            assert_eq!(variable.source_text(), "store://s/a#f?version=2", "{form}");
            let item = &plan.stores[0].items[0];
            let extracted: Vec<_> = variable.transforms.iter().map(ToString::to_string).collect();
            match store_type {
                // The store finds the field itself.
                "field" => assert_eq!((item.key.as_str(), extracted.len()), ("a.f", 0)),
                _ => assert_eq!((item.key.as_str(), extracted), ("a", vec!["#f".to_owned()])),
            }
        }
    }
}

const SCOPED: &str = "
scopes:
  web: [ DB_*, PORT ]
  worker: { extends: web, only: QUEUE_*, except: PORT }
  odd: [ NOTHING_*, PORT ]
envs:
  dev: { DB_URL: { literal: x }, DB_USER: { literal: x }, PORT: { literal: x }, QUEUE_URL: { literal: x } }
";

fn selected(scopes: &[&str], only: &[&str], except: &[&str]) -> (Vec<String>, usize) {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let selection = Selection { scopes: texts(scopes), only: texts(only), except: texts(except) };
    let config = Config::parse("f", SCOPED).unwrap();
    let mut plan = planned(&config, "dev");
    let warnings = plan.select(&selection).unwrap();
    (plan.variables.into_iter().map(|variable| variable.name).collect(), warnings.len())
}

#[test]
fn a_selection_keeps_what_it_wants() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let cases = [
        (selected(&[], &[], &[]).0, names(&["DB_URL", "DB_USER", "PORT", "QUEUE_URL"])),
        (selected(&["web"], &[], &[]).0, names(&["DB_URL", "DB_USER", "PORT"])),
        (selected(&["worker"], &[], &[]).0, names(&["DB_URL", "DB_USER", "QUEUE_URL"])),
        (
            selected(&["web", "worker"], &[], &[]).0,
            names(&["DB_URL", "DB_USER", "PORT", "QUEUE_URL"]),
        ),
        (selected(&["web"], &["*_URL"], &[]).0, names(&["DB_URL"])),
        (selected(&[], &["PORT", "DB_US?R"], &[]).0, names(&["DB_USER", "PORT"])),
        (selected(&[], &[], &["DB_*"]).0, names(&["PORT", "QUEUE_URL"])),
    ];
    for (is, should) in cases {
        assert_eq!(is, should);
    }
    assert_eq!(selected(&["odd"], &[], &[]), (names(&["PORT"]), 1));
    let plan = planned(&Config::parse("f", SCOPED).unwrap(), "dev");
    assert_eq!(plan.scopes_of("PORT"), ["odd", "web"]);
    assert_eq!(plan.scopes_of("QUEUE_URL"), ["worker"]);
}

#[test]
fn a_selection_that_fits_nothing_is_an_error_and_changes_nothing() {
    let mut plan = planned(&Config::parse("f", SCOPED).unwrap(), "dev");
    let selection = Selection {
        scopes: vec!["wbe".into(), "zzz".into()],
        only: vec!["PROT".into(), "X_*".into()],
        except: vec!["DB_*".into()],
    };
    let errors = plan.select(&selection).unwrap_err();
    let said: Vec<_> = errors
        .diagnostics()
        .iter()
        .map(|d| (d.code, d.message.as_str(), d.help.as_deref().unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            (codes::SCOPE, "there is no scope `wbe`", "did you mean `web`?"),
            (codes::SCOPE, "there is no scope `zzz`", "there are: odd, web, worker"),
            (codes::SELECTION, "`PROT` fits no variable", "did you mean `PORT`?"),
            (
                codes::SELECTION,
                "`X_*` fits no variable",
                "`dsops plan` shows the variables of the environment"
            ),
        ]
    );
    assert_eq!(plan.variables.len(), 4);
}

#[test]
fn templates_are_read() {
    let text = "
templates:
  - { name: env, format: dotenv, env: dev, out: '${STAGE}.env' }
  - { name: nginx, format: template, template_path: nginx.tmpl, out: '${NOT_SET}' }
envs: { dev: {} }
";
    let options = LoadOptions::new().variables(&variables);
    let config = Config::parse_at("f", text, &options).unwrap();
    let [first, second] = config.templates() else { panic!("there are two") };
    assert_eq!(first.out.as_deref(), Some(Path::new("dev.env")));
    assert_eq!(
        (first.format.as_deref(), first.environment.as_deref()),
        (Some("dotenv"), Some("dev"))
    );
    assert_eq!(second.unusable[0].code, codes::EXPANSION);
    assert_eq!(
        (second.out.as_deref(), second.template_path.as_deref()),
        (None, Some(Path::new("nginx.tmpl")))
    );
}

/// A factory whose stores say that they run a program.
struct Runs(fakes::Fakes);

impl dsops_resolver::StoreFactory for Runs {
    fn types(&self) -> &[&str] {
        &["fake"]
    }

    fn validate(
        &self,
        settings: &dsops_resolver::StoreSettings,
    ) -> Vec<dsops_resolver::Diagnostic> {
        self.0.validate(settings)
    }

    fn powers(&self, settings: &dsops_resolver::StoreSettings) -> Vec<Power> {
        vec![Power { code: "power/test", what: "runs `x`".into(), place: settings.place().clone() }]
    }

    fn open(
        &self,
        settings: &dsops_resolver::StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn dsops_resolver::Store>, dsops_resolver::StoreError> {
        self.0.open(settings, cx)
    }
}

#[test]
fn what_needs_trust_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("common.yaml", "envs: { base: { LD_PRELOAD: { literal: x } } }\n"),
            (
                "in/dsops.yaml",
                "include: ../common.yaml\nsecretStores:\n  s: { type: fake, token: '${MY_TOKEN}${HOME}' }\n  other: { type: unknown }\nenvs:\n  dev: { extends: base, A: { literal: x } }\n  harmless: { A: { literal: x } }\n",
            ),
        ],
    );
    let variables = |name: &str| Some(name.into());
    let options = LoadOptions::new().variables(&variables);
    let config = Config::load_with(dir.path().join("in/dsops.yaml"), &options).unwrap();
    let is_dangerous = |name: &str| name.starts_with("LD_");
    let codes_of = |environment: &str| {
        let powers = config.powers(environment, &Runs(fakes::Fakes::default()), &is_dangerous);
        powers.iter().map(|power| (power.code, power.place.line)).collect::<Vec<_>>()
    };
    assert_eq!(
        codes_of("dev"),
        [
            (codes::POWER_VARIABLE, 1),
            (codes::POWER_INCLUDE, 1),
            (codes::POWER_EXPANSION, 3),
            ("power/test", 3),
        ]
    );
    assert_eq!(codes_of("harmless").len(), 3);
    let powers = config.powers("dev", &Runs(fakes::Fakes::default()), &is_dangerous);
    let what: Vec<_> = powers.iter().map(|power| power.what.as_str()).collect();
    assert_eq!(what[0], "sets LD_PRELOAD, by which programs run code or load files");
    assert_eq!(what[2], "gives the environment variable MY_TOKEN to a store");
}

#[test]
fn a_variable_is_explained() {
    let text = "
secretStores: { s: { type: fake, token: '${TOKEN}' } }
scopes: { web: A*, none: B }
transforms: { clean: [ trim, lower ] }
envs:
  base: { A: { literal: x } }
  dev: { extends: base, A: { from: 'store://s/${STAGE}#f', transform: clean, default: d } }
";
    let options = LoadOptions::new().variables(&variables);
    let config = Config::parse_at("f", text, &options).unwrap();
    let explained = config.explain("dev", "A").unwrap();
    assert_eq!((explained.defined.place.line, &*explained.defined.environment), (7, "dev"));
    assert_eq!(explained.overrides[0].place.line, 6);
    assert_eq!(explained.source.as_deref(), Some("store://s/dev#f"));
    let store = explained.store.unwrap();
    assert_eq!(
        (store.name.as_str(), store.store_type.as_str(), store.place.line),
        ("s", "fake", 2)
    );
    let transforms: Vec<_> = explained.transforms.iter().map(ToString::to_string).collect();
    assert_eq!(transforms, ["trim", "lower"]);
    assert!(explained.has_default && !explained.optional);
    assert_eq!(
        (explained.scopes, explained.expanded),
        (vec!["web".to_owned()], vec!["STAGE".to_owned(), "TOKEN".to_owned()])
    );
    assert!(config.explain("dev", "B").is_none() && config.explain("prod", "A").is_none());
    assert_eq!(config.variables("dev").collect::<Vec<_>>(), ["A"]);
}

#[test]
fn a_template_outside_the_folder_is_a_power() {
    let dir = tempfile::tempdir().unwrap();
    let text = "envs: { dev: { A: { literal: x } } }\ntemplates:\n  - { name: near, out: below/new/x, template_path: ./t }\n  - { name: far, out: ../x, template_path: /etc/hosts }\n";
    write(dir.path(), &[("in/dsops.yaml", text)]);
    let config = Config::load(dir.path().join("in/dsops.yaml")).unwrap();
    let powers = config.powers("dev", &Runs(fakes::Fakes::default()), &|_| false);
    let said: Vec<_> = powers.iter().map(|power| (power.code, power.what.as_str())).collect();
    assert_eq!(
        said,
        [
            (
                codes::POWER_TEMPLATE,
                "reads /etc/hosts for the template `far`, which is outside its folder"
            ),
            (
                codes::POWER_TEMPLATE,
                "writes ../x for the template `far`, which is outside its folder"
            ),
        ]
    );
}
