//! Sampling parameters by llama.cpp's names, with its defaults.

use crate::Error;

/// How the next token is chosen. The defaults are llama.cpp's (`common_params_sampling`), except the seed, which is
/// 0 here because nothing in this crate reads a clock or an entropy source: a caller that wants variety sets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Divides the logits before the draw: below 1 is more predictable, above 1 more surprising. 0 always takes the
    /// most likely token that the filters leave (greedy). Default 0.8.
    pub temperature: f32,
    /// Keeps the `top_k` most likely tokens. 0 or less keeps all. Default 40.
    pub top_k: i32,
    /// Keeps the fewest most likely tokens whose probabilities add up to at least this (nucleus sampling,
    /// Holtzman et al. 2019). 1 keeps all. Default 0.95.
    pub top_p: f32,
    /// Keeps tokens at least this times as likely as the most likely one (Nguyen et al. 2024). 0 keeps all.
    /// Default 0.05.
    pub min_p: f32,
    /// Keeps the tokens whose surprise is nearest to the expected one, up to this total probability (locally typical
    /// sampling, Meister et al. 2022). 1 keeps all. Default 1.
    pub typical_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens by this. 1 changes nothing. Default 1.
    pub repeat_penalty: f32,
    /// How many latest tokens, of the prompt and of the answer, the three penalties look at. 0 is none, -1 all.
    /// Default 64.
    pub repeat_last_n: i32,
    /// Subtracted from a recent token's logit once per occurrence. Default 0.
    pub frequency_penalty: f32,
    /// Subtracted once from the logit of every recent token. Default 0.
    pub presence_penalty: f32,
    /// Added to the logits of single tokens before anything else; `-inf` forbids a token. Default none.
    pub logit_bias: Vec<(u32, f32)>,
    /// Seeds the random generator. Default 0.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Params {
    /// Always the most likely token, with every other option neutral.
    #[must_use]
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            ..Self::default()
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] or [`Error::Bias`] for the first value that is not allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |name, value: f64, fine: bool, allowed| {
            if fine {
                Ok(())
            } else {
                Err(Error::OutOfRange {
                    name,
                    value,
                    allowed,
                })
            }
        };
        let unit = |value: f32| (0.0..=1.0).contains(&value);
        let float = |name, value: f32, fine, allowed| check(name, f64::from(value), fine, allowed);

        let temperature = self.temperature;
        let fine = temperature.is_finite() && temperature >= 0.0;
        float(
            "temperature",
            temperature,
            fine,
            "0 (greedy) or a positive finite number",
        )?;
        float(
            "top_p",
            self.top_p,
            unit(self.top_p),
            "between 0 and 1 (1 keeps all tokens)",
        )?;
        float(
            "min_p",
            self.min_p,
            unit(self.min_p),
            "between 0 and 1 (0 keeps all tokens)",
        )?;
        float(
            "typical_p",
            self.typical_p,
            unit(self.typical_p),
            "between 0 and 1 (1 keeps all tokens)",
        )?;
        let repeat = self.repeat_penalty;
        float(
            "repeat_penalty",
            repeat,
            repeat.is_finite() && repeat > 0.0,
            "a positive finite number (1 changes nothing)",
        )?;
        let last_n = self.repeat_last_n;
        check(
            "repeat_last_n",
            f64::from(last_n),
            last_n >= -1,
            "-1 (all tokens), 0 (none) or a number of tokens",
        )?;
        for (name, value) in [
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
        ] {
            float(
                name,
                value,
                value.is_finite(),
                "a finite number (0 changes nothing)",
            )?;
        }
        match self
            .logit_bias
            .iter()
            .find(|(_, bias)| bias.is_nan() || *bias == f32::INFINITY)
        {
            Some(&(token, value)) => Err(Error::Bias { token, value }),
            None => Ok(()),
        }
    }

    /// Whether any of the three penalties can change a logit.
    pub(crate) fn penalizes(&self) -> bool {
        self.repeat_last_n != 0
            && (self.repeat_penalty != 1.0
                || self.frequency_penalty != 0.0
                || self.presence_penalty != 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_greedy_are_valid() {
        assert_eq!(Params::default().validate(), Ok(()));
        assert_eq!(Params::greedy().validate(), Ok(()));
    }

    #[test]
    fn a_bad_value_is_named_with_its_range() {
        type Change = fn(&mut Params);
        let cases: [(&str, Change); 12] = [
            ("temperature", |p| p.temperature = -0.1),
            ("temperature", |p| p.temperature = f32::NAN),
            ("temperature", |p| p.temperature = f32::INFINITY),
            ("top_p", |p| p.top_p = 1.5),
            ("top_p", |p| p.top_p = f32::NAN),
            ("min_p", |p| p.min_p = -0.5),
            ("typical_p", |p| p.typical_p = 2.0),
            ("repeat_penalty", |p| p.repeat_penalty = 0.0),
            ("repeat_last_n", |p| p.repeat_last_n = -2),
            ("frequency_penalty", |p| p.frequency_penalty = f32::INFINITY),
            ("presence_penalty", |p| p.presence_penalty = f32::NAN),
            ("logit_bias", |p| {
                p.logit_bias = vec![(7, 1.0), (9, f32::INFINITY)]
            }),
        ];
        for (name, change) in cases {
            let mut params = Params::default();
            change(&mut params);
            let message = params.validate().expect_err(name).to_string();
            assert!(
                message.starts_with(name) && message.contains("must be"),
                "{name}: {message}"
            );
        }
        let message = Params {
            top_p: 1.5,
            ..Params::default()
        }
        .validate()
        .unwrap_err()
        .to_string();
        assert_eq!(
            message,
            "top_p is 1.5, but must be between 0 and 1 (1 keeps all tokens)"
        );
    }

    #[test]
    fn a_bias_may_forbid_a_token() {
        assert_eq!(
            Params {
                logit_bias: vec![(3, f32::NEG_INFINITY)],
                ..Params::default()
            }
            .validate(),
            Ok(())
        );
    }
}
