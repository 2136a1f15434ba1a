//! Signature Version 4 of AWS, for requests without a query whose headers are few and known.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Where and when a signature is good. `date` is `20150830T123600Z`.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) date: &'a str,
}

/// What is signed. Names of headers are in lower case and in order.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// The value of `Authorization`.
pub(super) fn authorization(key_id: &str, secret: &str, scope: &Scope<'_>, signed: &Signed<'_>) -> String {
    let day = &scope.date[..8];
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let names = signed.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical = Zeroizing::new(format!(
        "{}\n{}\n\n{headers}\n{names}\n{}",
        signed.method,
        signed.path,
        hex::encode(Sha256::digest(signed.body))
    ));
    let hashed = hex::encode(Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{place}\n{hashed}", scope.date);
    let key = Zeroizing::new(format!("AWS4{secret}").into_bytes());
    let key = [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(key, |key, part| Zeroizing::new(keyed(&key, part.as_bytes())));
    let signature = hex::encode(keyed(&key, text.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential={key_id}/{place}, SignedHeaders={names}, Signature={signature}")
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is one");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test suite of AWS: `get-vanilla`, `post-vanilla`, `post-x-www-form-urlencoded`.
    #[test]
    fn the_vectors_of_aws_are_signed_as_they_say() {
        const HOST: (&str, &str) = ("host", "example.amazonaws.com");
        const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        let table = [
            ("GET", vec![HOST, DATE], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", vec![HOST, DATE], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "POST",
                vec![FORM, HOST, DATE],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (method, headers, body, signature) in table {
            let scope = Scope { region: "us-east-1", service: "service", date: DATE.1 };
            let signed = Signed { method, path: "/", headers: &headers, body: body.as_bytes() };
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
            assert_eq!(
                authorization("AKIDEXAMPLE", secret, &scope, &signed),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders={names}, Signature={signature}"
                )
            );
        }
    }
}
