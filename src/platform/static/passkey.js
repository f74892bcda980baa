/* Passkeys: the only script of the platform. It asks the browser's authenticator what the form
 * says (data-options), writes the answer into the form's hidden fields and sends it. Nothing is
 * fetched, nothing is kept. Without it, every other way to sign in still works. */
'use strict';
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const keys = (ids) => ids.map((id) => ({ type: 'public-key', id: bytes(id) }));

  const create = async (o) => {
    const c = await navigator.credentials.create({ publicKey: {
      challenge: bytes(o.challenge),
      rp: { id: o.rp_id, name: o.rp_name },
      user: { id: bytes(o.user_id), name: o.user, displayName: o.user },
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key', alg })),
      excludeCredentials: keys(o.exclude),
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' },
      attestation: o.attestation,
    } });
    return { client_data: c.response.clientDataJSON, attestation: c.response.attestationObject };
  };

  const get = async (o) => {
    const c = await navigator.credentials.get({ publicKey: {
      challenge: bytes(o.challenge), rpId: o.rp_id, allowCredentials: keys(o.allow), userVerification: o.verification,
    } });
    return { credential: c.rawId, client_data: c.response.clientDataJSON, authenticator_data: c.response.authenticatorData, signature: c.response.signature };
  };

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    form.querySelector('[data-passkey-without]').hidden = true;
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const fault = form.querySelector('[data-passkey-fault]');
      fault.hidden = true;
      try {
        const answer = await (form.dataset.passkey === 'create' ? create : get)(JSON.parse(form.dataset.options));
        for (const [name, value] of Object.entries(answer)) form.elements[name].value = text(value);
        form.submit();
      } catch {
        fault.hidden = false;
      }
    });
  }
})();
