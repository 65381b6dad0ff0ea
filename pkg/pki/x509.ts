/**
 * The X.509 library, with what it needs loaded before it. It costs tens of milliseconds to load: import it with
 * `await import` where a certificate or a signing request is made, so that no other start pays for it.
 */

import 'reflect-metadata';

export * from '@peculiar/x509';
