// The ECP5's block RAM and multiplier as hwflow's netlists use them, written from Lattice's description (FPGA-TN-02204 and
// FPGA-TN-02205), for Icarus: Yosys has no models of them. One clock a port or multiplier, no reset, no cascade.

`default_nettype none

module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "DISABLED",
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000",
    parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
    INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
    INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
    INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
    INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
    INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
    INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
    INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
    INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
    INITVAL_3F = 0
) (
    input wire CLKA, CEA, OCEA, WEA, RSTA, CSA0, CSA1, CSA2,
    input wire ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9, ADA10, ADA11, ADA12, ADA13,
    input wire DIA0, DIA1, DIA2, DIA3, DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12, DIA13, DIA14, DIA15,
    input wire DIA16, DIA17,
    output wire DOA0, DOA1, DOA2, DOA3, DOA4, DOA5, DOA6, DOA7, DOA8, DOA9, DOA10, DOA11, DOA12, DOA13, DOA14, DOA15,
    output wire DOA16, DOA17,
    input wire CLKB, CEB, OCEB, WEB, RSTB, CSB0, CSB1, CSB2,
    input wire ADB0, ADB1, ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9, ADB10, ADB11, ADB12, ADB13,
    input wire DIB0, DIB1, DIB2, DIB3, DIB4, DIB5, DIB6, DIB7, DIB8, DIB9, DIB10, DIB11, DIB12, DIB13, DIB14, DIB15,
    input wire DIB16, DIB17,
    output wire DOB0, DOB1, DOB2, DOB3, DOB4, DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14, DOB15,
    output wire DOB16, DOB17
);

    reg [17:0] mem [0:1023];  // two bytes of 9 bits; ports of 1, 2 and 4 bits see 8 bits of each

    localparam [20479:0] IMAGE = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
        INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
        INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
        INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
        INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
        INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
        INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
        INITVAL_00
    };
    integer i;
    initial for (i = 0; i < 1024; i = i + 1) mem[i] = IMAGE[20*i+:18];

    // The bits of its word that an access is to; `enables` are the low address bits of a port of 18 bits.
    function [17:0] mask_of(input integer width, input [13:0] address);
        case (width)
            18: mask_of = {{9{address[1]}}, {9{address[0]}}};
            9: mask_of = 18'h1ff << (9 * address[3]);
            4: mask_of = 18'hf << (9 * address[3] + 4 * address[2]);
            2: mask_of = 18'h3 << (9 * address[3] + 2 * address[2:1]);
            default: mask_of = 18'h1 << (9 * address[3] + address[2:0]);
        endcase
    endfunction

    function integer place_of(input integer width, input [13:0] address);
        case (width)
            18: place_of = 0;
            9: place_of = 9 * address[3];
            4: place_of = 9 * address[3] + 4 * address[2];
            2: place_of = 9 * address[3] + 2 * address[2:1];
            default: place_of = 9 * address[3] + address[2:0];
        endcase
    endfunction

    wire [13:0] a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] a_in = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
                        DIA2, DIA1, DIA0};
    wire [17:0] b_in = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
                        DIB2, DIB1, DIB0};
    wire [17:0] a_keep = ~mask_of(DATA_WIDTH_A, a), b_keep = ~mask_of(DATA_WIDTH_B, b);
    wire [17:0] a_next = (mem[a[13:4]] & a_keep) | ((a_in << place_of(DATA_WIDTH_A, a)) & ~a_keep);
    wire [17:0] b_next = (mem[b[13:4]] & b_keep) | ((b_in << place_of(DATA_WIDTH_B, b)) & ~b_keep);
    reg [17:0] a_read = 0, b_read = 0, a_out = 0, b_out = 0;

    always @(posedge CLKA) begin
        if (CEA) begin
            if (WEA && DATA_WIDTH_A != 36) mem[a[13:4]] <= a_next;
            if (WEA && WRITEMODE_A == "WRITETHROUGH") a_read <= a_next >> place_of(DATA_WIDTH_A, a);
            else if (!WEA || WRITEMODE_A == "READBEFOREWRITE") a_read <= mem[a[13:4]] >> place_of(DATA_WIDTH_A, a);
        end
        if (OCEA) a_out <= a_read;
    end

    always @(posedge CLKB) begin
        if (CEB) begin
            if (WEB) mem[b[13:4]] <= b_next;
            if (WEB && WRITEMODE_B == "WRITETHROUGH") b_read <= b_next >> place_of(DATA_WIDTH_B, b);
            else if (!WEB || WRITEMODE_B == "READBEFOREWRITE") b_read <= mem[b[13:4]] >> place_of(DATA_WIDTH_B, b);
        end
        if (OCEB) b_out <= b_read;
    end

    // Port B reads a word of 36 bits, whose lower half comes out of A: a memory of one port to read.
    reg [35:0] wide_read = 0;
    always @(posedge CLKB) if (CEB) wide_read <= {mem[{b[13:5], 1'b1}], mem[{b[13:5], 1'b0}]};
    wire wide = DATA_WIDTH_B == 36;

    // Or port A writes 36 bits, their upper half from B's inputs, with enables for four bytes.
    wire [17:0] low_keep = ~mask_of(18, a), high_keep = ~mask_of(18, a >> 2);
    always @(posedge CLKA) begin
        if (DATA_WIDTH_A == 36 && CEA && WEA) begin
            mem[{a[13:5], 1'b0}] <= (mem[{a[13:5], 1'b0}] & low_keep) | (a_in & ~low_keep);
            mem[{a[13:5], 1'b1}] <= (mem[{a[13:5], 1'b1}] & high_keep) | (b_in & ~high_keep);
        end
    end

    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
            DOA0} = wide ? wide_read[17:0] : REGMODE_A == "OUTREG" ? a_out : a_read;
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
            DOB0} = wide ? wide_read[35:18] : REGMODE_B == "OUTREG" ? b_out : b_read;

    initial if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") $fatal(1, "DP16KD: no model of an inverted clock");
    initial if (wide && (REGMODE_A != "NOREG" || REGMODE_B != "NOREG")) $fatal(1, "DP16KD: no register behind 36 bits");

endmodule

module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0",
    parameter GSR = "ENABLED", RESETMODE = "SYNC"
) (
    input wire CLK0, CE0, CE1, CE2, CE3, RST0, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input wire A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17,
    input wire B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17,
    input wire C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15, C16, C17,
    output wire P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19, P20, P21, P22,
    output wire P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);

    function enabled(input [23:0] name, input [3:0] enables);
        case (name)
            "CE0": enabled = enables[0];
            "CE1": enabled = enables[1];
            "CE2": enabled = enables[2];
            default: enabled = enables[3];
        endcase
    endfunction

    wire [3:0] enables = {CE3, CE2, CE1, CE0};
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    reg [17:0] a_reg = 0, b_reg = 0;
    reg [35:0] pipeline_reg = 0, output_reg = 0;

    wire [17:0] a_used = REG_INPUTA_CLK == "NONE" ? a : a_reg, b_used = REG_INPUTB_CLK == "NONE" ? b : b_reg;
    wire signed [35:0] a_wide = {{18{SIGNEDA & a_used[17]}}, a_used}, b_wide = {{18{SIGNEDB & b_used[17]}}, b_used};
    wire [35:0] product = a_wide * b_wide;
    wire [35:0] piped = REG_PIPELINE_CLK == "NONE" ? product : pipeline_reg;

    always @(posedge CLK0) begin
        if (enabled(REG_INPUTA_CE, enables)) a_reg <= a;
        if (enabled(REG_INPUTB_CE, enables)) b_reg <= b;
        if (enabled(REG_PIPELINE_CE, enables)) pipeline_reg <= product;
        if (enabled(REG_OUTPUT_CE, enables)) output_reg <= piped;
    end

    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14,
            P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = REG_OUTPUT_CLK == "NONE" ? piped : output_reg;

endmodule

`default_nettype wire
