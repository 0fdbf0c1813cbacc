"""Problems of practice, stated exactly: digital filters, tomography, quantized layers."""
