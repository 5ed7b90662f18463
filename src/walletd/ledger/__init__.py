"""The rules of money, pure: books, ``decide`` and ``apply``, and the audit that checks them.

Commands and the time enter; effects or a refusal leave; there is no clock, no randomness and no ``await`` here.  This
package imports only ``walletd.vocabulary``.
"""
