// Asks @sigstore/verify about bundles: one question a line on standard input, one verdict a line back.
//
// A question is a JSON object: `bundle` (text), `root` (text), `artifact` (base64), and either `identity`
// with `issuer` or `key` (PEM). A verdict is `ok`, or why not.
'use strict';

const { createPublicKey } = require('node:crypto');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

// Its policy takes patterns.
const literal = (text) => '^' + text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') + '$(?!\\n)';

function judge(question) {
  const root = TrustedRoot.fromJSON(JSON.parse(question.root));
  const keys = () => ({ publicKey: createPublicKey(question.key), validFor: () => true });
  const material = question.key ? toTrustMaterial(root, keys) : toTrustMaterial(root);
  // What the root does not have cannot be asked for.
  const options = {
    tlogThreshold: root.tlogs.length > 0 ? 1 : 0,
    ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0,
  };
  const bundle = bundleFromJSON(JSON.parse(question.bundle));
  const policy = question.key
    ? undefined
    : { subjectAlternativeName: literal(question.identity), extensions: { issuer: question.issuer } };
  if (policy && bundle.verificationMaterial.content.$case === 'publicKey') {
    throw new Error('a key where an identity is wanted');
  }
  const artifact = Buffer.from(question.artifact, 'base64');
  new Verifier(material, options).verify(toSignedEntity(bundle, artifact), policy);
}

require('node:readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    let verdict = 'ok';
    try {
      judge(JSON.parse(line));
    } catch (error) {
      verdict = `${error.name}: ${error.message}`.replace(/\s+/g, ' ');
    }
    console.log(verdict);
  });
