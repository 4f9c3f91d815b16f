"""The wire format of BlazeDB Relay 1.0 in plain Python, written from SPEC.md.

Everything decodes straight into the JSON forms of test-vectors/README.md and
is encoded from them.  Speed is no goal; following the text rule by rule is.
Comments name the rule (such as VAL-4) that a line carries out.
"""
