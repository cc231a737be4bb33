use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::admin::Options;

/// Where probes, Prometheus and operators come in.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Admin options")]
pub struct AdminArgs {
    /// Address of probes, metrics and API; loopback with the daemon's own port unless given
    #[arg(long, value_name = "ADDRESS:PORT", env = "ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,
    /// File with the bearer token that requests need which change something; without it they are refused
    #[arg(long, value_name = "FILE", env = "ADMIN_TOKEN_FILE")]
    pub admin_token_file: Option<PathBuf>,
}

impl AdminArgs {
    /// As options of the listener, by default on that port of loopback.
    #[must_use]
    pub fn options(self, default_port: u16) -> Options {
        let Self { admin_listen, admin_token_file } = self;
        let default = Options::loopback(default_port);
        Options { listen: admin_listen.unwrap_or(default.listen), token_file: admin_token_file, ..default }
    }
}

/// What a daemon has beyond [`LogArgs`](super::LogArgs).
#[derive(Clone, Debug, Default, Args)]
pub struct RuntimeArgs {
    /// The admin listener.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Base URL of an OTLP/HTTP collector; traces go to its /v1/traces
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", help_heading = "Log options")]
    pub otlp_endpoint: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        runtime: RuntimeArgs,
    }

    #[test]
    fn it_listens_on_loopback_unless_told_otherwise() {
        let options = Cli::parse_from(["x"]).runtime.admin.options(9_100);
        assert_eq!((options.listen.to_string().as_str(), options.token_file), ("127.0.0.1:9100", None));
        let cli = Cli::parse_from(["x", "--admin-listen", "[::]:80", "--admin-token-file", "t"]);
        let options = cli.runtime.admin.options(9_100);
        assert_eq!((options.listen.to_string().as_str(), options.token_file), ("[::]:80", Some("t".into())));
    }
}
